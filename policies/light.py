"""The light of a picture, beside that in which each block was last computed."""

import numpy as np
from numpy.typing import NDArray

_SAMPLE = 800  # cells that are enough to tell the light
# Median residuals beyond which a cell is left out, fit after fit: only the better half of the cells
# counts until the fit is near, and then all but those that show something else.
_STRAYS = 1.0, 1.0, 1.0, 3.0
_STIFFNESS = 16.0  # variance, in grey levels squared, below which a gain could not be told
_GAINS = 0.1, 10.0

Cells = NDArray[np.float32]  # (rows, k, cols, k): the means of k x k cells of each block


class Light:
    """Follows the gain and the offset of all of a picture, beside its first frame.

    Blocks that were computed at different times were seen in different light. Each block that has
    not changed since tells what the light is now, so errors do not add up.

    Args:
        shown: which cells show the picture, and not padding.
    """

    def __init__(self, shown: NDArray[np.bool_]) -> None:
        rows, _, cols, _ = shown.shape
        cells = np.flatnonzero(shown)
        self._sample = cells[:: max(len(cells) // _SAMPLE, 1)]
        self._gain, self._offset = np.float32(1), np.float32(0)  # of the latest frame
        self._gains = np.ones((rows, 1, cols, 1), np.float32)  # when each block was computed
        self._offsets = np.zeros((rows, 1, cols, 1), np.float32)
        blocks = np.arange(rows * cols).reshape(rows, 1, cols, 1)
        self._block = np.broadcast_to(blocks, shown.shape).ravel()[self._sample]  # of each of them

    def carry(self, before: Cells, now: Cells, computed: NDArray[np.bool_]) -> Cells:
        """What the cells that were seen `before` look like in the light of the new frame.

        Args:
            computed: which blocks (rows, cols) were computed of the frame before.
        """
        if computed.all():
            self._gain, self._offset = np.float32(1), np.float32(0)
        self._gains[computed[:, None, :, None]] = self._gain
        self._offsets[computed[:, None, :, None]] = self._offset
        seen = before.ravel()[self._sample] - self._offsets.ravel()[self._block]
        first = seen / self._gains.ravel()[self._block]
        self._gain, self._offset = fit_light(first, now.ravel()[self._sample])
        gains = self._gain / self._gains
        carried: Cells = before * gains + (self._offset - self._offsets * gains)
        return carried


def fit_light(
    first: NDArray[np.float32], now: NDArray[np.float32]
) -> tuple[np.float32, np.float32]:
    """The gain and the offset that bring most of the cells (n,) nearest to what they are now.

    Those that changed otherwise do not count as long as they are fewer than half.
    """
    gain, offset = _line(first, now)
    for stray in _STRAYS:
        residuals = np.abs(now - gain * first - offset)
        kept = residuals <= stray * np.median(residuals)
        gain, offset = _line(first[kept], now[kept])
    return gain, offset


def _line(first: NDArray[np.float32], now: NDArray[np.float32]) -> tuple[np.float32, np.float32]:
    """The gain and the offset of least squares."""
    mean, now_mean = first.mean(), now.mean()
    apart = first - mean
    both, own = apart @ (now - now_mean) / first.size, apart @ apart / first.size
    gain = np.float32(np.clip((both + _STIFFNESS) / (own + _STIFFNESS), *_GAINS))
    return gain, np.float32(now_mean - gain * mean)
