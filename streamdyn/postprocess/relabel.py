"""The labels of one stream's pictures, made anew only where the scores changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamdyn.fit import Fit
from streamdyn.postprocess.between import Between
from streamdyn.postprocess.labelling import Scores, label, prepare
from streamdyn.postprocess.outputs import read_outputs
from streamdyn.types import Segmentation


class Relabel:
    """`argmax` for the frames of one stream in turn.

    It compares the scores with those of the frame before, and interpolates where one changed.
    """

    def __init__(self) -> None:
        self._of: tuple[Fit, tuple[int, ...]] | None = None  # pictures and maps, as they were last
        self._scores: Scores | None = None
        self._labels: NDArray[np.uint8]  # (H, W)
        prepare()

    def __call__(
        self, outputs: Sequence[NDArray[np.float32]], fit: Fit, classes: tuple[str, ...]
    ) -> Segmentation:
        (maps,) = read_outputs("argmax", outputs, (1, len(classes), "rows", "cols"))
        if self._of != (fit, maps.shape):
            self._of, self._scores = (fit, maps.shape), None
            self._labels = np.empty(fit.source, np.uint8)
        self._scores = Scores.take(maps[0], self._scores)
        label(self._scores, Between.of(fit, *maps.shape[2:]), self._labels)
        logits = of_picture(self._scores.of_maps(*maps.shape[2:]), fit)
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
