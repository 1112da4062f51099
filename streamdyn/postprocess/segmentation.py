"""Maps of class scores to a label for each pixel of the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamdyn.fit import Fit
from streamdyn.types import Segmentation

if TYPE_CHECKING:
    from streamdyn.postprocess.relabel import Relabel


def argmax(
    outputs: Sequence[NDArray[np.float32]], fit: Fit, classes: tuple[str, ...]
) -> Segmentation:
    """The class of the highest score at each pixel. Reads one output: (1, classes, rows, cols).

    The map may have any resolution, and covers the whole input; scores are interpolated
    bilinearly at the centre of each source pixel. A pixel that the fit cut off gets the label of
    the nearest one that was not.
    """
    return argmax_of_stream()(outputs, fit, classes)


def argmax_of_stream() -> Relabel:
    """`argmax` for the frames of one stream in turn: it says the same, in less time."""
    from streamdyn.postprocess.relabel import Relabel  # compiled code, which few tasks need

    return Relabel()
