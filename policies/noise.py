"""The noise of a picture: by how much its cells differ when nothing happens."""

import numpy as np
from numpy.typing import NDArray

_SAMPLE = 1500  # cells that are enough to tell the noise of most
_RANGE = 0.3, 2.0  # grey levels that are taken for noise: what moves for ever is none
_APART = 3.0  # how many times the noise of most cells that of one may be
_STEP = 0.03  # share by which an estimate moves per frame
_SIGMA = 0.6745  # median of the absolute values of a normal distribution, in standard deviations


class Noise:
    """Follows the noise of each cell: the median of its absolute errors, so outliers do no harm.

    Each error moves its estimate by the same small share, up or down. It begins with the median
    over the picture, so that it is of use from the first frame.

    Args:
        errors: of the first frame, one for each cell.
        shown: which cells show the picture, and not padding.
    """

    def __init__(self, errors: NDArray[np.float32], shown: NDArray[np.bool_]) -> None:
        cells = np.flatnonzero(shown)
        self._sample = cells[:: max(len(cells) // _SAMPLE, 1)]
        start = np.median(errors.ravel()[self._sample]) / _SIGMA
        self._deviations = np.full(errors.shape, np.clip(start, *_RANGE), np.float32)

    def multiples(self, errors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Absolute errors in standard deviations of the noise, from which it then learns."""
        multiples: NDArray[np.float32] = errors / self._deviations
        least, most = _RANGE
        most = min(most, _APART * float(np.median(self._deviations.ravel()[self._sample])))
        steps = np.array([1 / (1 + _STEP), 1 + _STEP], np.float32)
        self._deviations *= steps[(multiples > _SIGMA).view(np.uint8)]
        np.clip(self._deviations, least, most, out=self._deviations)
        return multiples
