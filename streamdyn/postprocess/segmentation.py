"""Maps of class scores to a label for each pixel of the source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    labels = largest(_at_source(scores, fit) for scores in maps[0])
    return Segmentation(labels=labels, classes=classes, logits=of_picture(maps[0], fit).copy())


def largest(scores: Iterable[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """The number of the largest of several maps (h, w) at each pixel, the first of equal ones."""
    maps = iter(scores)
    highest = next(maps)
    labels = np.zeros(highest.shape, np.uint8)
    for label, map_ in enumerate(maps, start=1):
        higher = map_ > highest
        # Labels only rise from class to class, so a maximum overwrites them: far faster than
        # assignment under a mask.
        np.maximum(labels, higher.view(np.uint8) * np.uint8(label), out=labels)
        np.maximum(highest, map_, out=highest)
    return labels


def of_picture(maps: NDArray[np.float32], fit: Fit) -> NDArray[np.float32]:
    """The part of the maps (classes, h, w) of an input that shows the picture: a view."""
    spans = []
    for axis, cells in enumerate(maps.shape[1:]):
        fine = cells / fit.size[axis]
        first = min(round(fit.visible[axis] * fine), cells - 1)
        last = round((fit.visible[axis] + fit.visible[axis + 2]) * fine)
        spans.append(slice(first, max(last, first + 1)))
    return maps[:, spans[0], spans[1]]


def _at_source(scores: NDArray[np.float32], fit: Fit) -> NDArray[np.float32]:
    """Interpolate a map (h, w) of the input at the centres of the source's pixels."""
    height, width = fit.source
    if whole := in_source_pixels(fit):  # several times faster than what follows
        top, left, *size = whole
        resized = cv2.resize(scores, size[::-1])[top : top + height, left : left + width]
        return resized.astype(np.float32, copy=False)
    steps, starts = [], []  # along each axis, in cells of the map
    for axis, cells in enumerate(scores.shape):
        fine = cells / fit.size[axis]
        steps.append(fine * fit.picture[axis + 2] / fit.source[axis])
        starts.append(fine * fit.picture[axis] + steps[axis] / 2 - 0.5)
    to_map = np.array([[steps[1], 0, starts[1]], [0, steps[0], starts[0]]])
    return cv2.warpAffine(
        scores,
        to_map,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32, copy=False)


def in_source_pixels(fit: Fit) -> tuple[int, int, int, int] | None:
    """Where the source lies on the input (top, left), and the input's size (height, width).

    Both in pixels of the source; None where they are not whole numbers, or the source is cut.
    """
    if fit.visible != fit.picture:
        return None
    scaled = []
    for value, axis in zip((*fit.picture[:2], *fit.size), (0, 1, 0, 1), strict=True):
        pixels, rest = divmod(value * fit.source[axis], fit.picture[axis + 2])
        if rest:
            return None
        scaled.append(pixels)
    top, left, height, width = scaled
    return top, left, height, width
