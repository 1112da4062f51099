"""The labels of one stream's pictures, made anew only where the scores changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamdyn.fit import Fit
from streamdyn.postprocess.between import Between
from streamdyn.postprocess.copies import Copies
from streamdyn.postprocess.labelling import label, prepare
from streamdyn.postprocess.outputs import read_outputs
from streamdyn.types import Segmentation


class Relabel:
    """`argmax` for the frames of one stream in turn.

    It compares the scores with those of the frame before, and interpolates where one changed.
    """

    def __init__(self) -> None:
        self._of: tuple[Fit, tuple[int, ...]] | None = None  # pictures and maps, as they were last
        self._copies: Copies
        self._labels: NDArray[np.uint8]  # (H, W)
        prepare()

    def __call__(
        self, outputs: Sequence[NDArray[np.float32]], fit: Fit, classes: tuple[str, ...]
    ) -> Segmentation:
        (maps,) = read_outputs("argmax", outputs, (1, len(classes), "rows", "cols"))
        if self._of != (fit, maps.shape):
            self._of = fit, maps.shape
            self._copies = Copies(maps.shape[1:])
            self._labels = np.empty(fit.source, np.uint8)
        rows, cols = maps.shape[2:]
        scores, changed = self._copies.take(maps[0])
        label(scores, changed, Between.of(fit, rows, cols), self._labels)
        logits = of_picture(scores[:, 1 : rows + 1, 1 : cols + 1], fit)
        return Segmentation(self._labels.copy(), classes, logits)


def of_picture(maps: NDArray[np.float32], fit: Fit) -> NDArray[np.float32]:
    """The part of the maps (classes, h, w) of an input that shows the picture: a view."""
    spans = []
    for axis, cells in enumerate(maps.shape[1:]):
        fine = cells / fit.size[axis]
        first = min(round(fit.visible[axis] * fine), cells - 1)
        last = round((fit.visible[axis] + fit.visible[axis + 2]) * fine)
        spans.append(slice(first, max(last, first + 1)))
    return maps[:, spans[0], spans[1]]
