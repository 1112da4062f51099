"""Maps of class scores to a label for each pixel of the source."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.fit import Fit
from streamdyn.postprocess.outputs import read_outputs
from streamdyn.types import Segmentation


def argmax(
    outputs: Sequence[NDArray[np.float32]], fit: Fit, classes: tuple[str, ...]
) -> Segmentation:
    """The class of the highest score at each pixel. Reads one output: (1, classes, rows, cols).

    The map may have any resolution, and covers the whole input; scores are interpolated
    bilinearly at the centre of each source pixel. A pixel that the fit cut off gets the label of
    the nearest one that was not.
    """
    (maps,) = read_outputs("argmax", outputs, (1, len(classes), "rows", "cols"))
    highest = _at_source(maps[0, 0], fit)
    labels = np.zeros(fit.source, np.uint8)
    for label, scores in enumerate(maps[0, 1:], start=1):
        scores = _at_source(scores, fit)
        higher = scores > highest
        # Labels only rise from class to class, so a maximum overwrites them: far faster than
        # assignment under a mask.
        np.maximum(labels, higher.view(np.uint8) * np.uint8(label), out=labels)
        np.maximum(highest, scores, out=highest)
    return Segmentation(labels=labels, classes=classes)


def _at_source(scores: NDArray[np.float32], fit: Fit) -> NDArray[np.float32]:
    """Interpolate a map (h, w) of the input at the centres of the source's pixels."""
    rows, cols = scores.shape
    (height, width), (top, left, *extent) = fit.source, fit.picture
    if fit.picture == (0, 0, *fit.size):  # the same as below, several times faster
        return cv2.resize(scores, (width, height)).astype(np.float32, copy=False)
    fine_y, fine_x = rows / fit.size[0], cols / fit.size[1]  # cells per pixel of the input
    step_y, step_x = fine_y * extent[0] / height, fine_x * extent[1] / width
    to_map = np.array(
        [
            [step_x, 0, left * fine_x + step_x / 2 - 0.5],
            [0, step_y, top * fine_y + step_y / 2 - 0.5],
        ]
    )
    return cv2.warpAffine(
        scores,
        to_map,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32, copy=False)
