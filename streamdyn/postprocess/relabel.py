"""The labels of one stream's pictures, made anew only where the scores changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.fit import Fit
from streamdyn.postprocess.outputs import read_outputs
from streamdyn.postprocess.segmentation import argmax, in_source_pixels, largest, of_picture
from streamdyn.types import Segmentation
from streamdyn.windows import windows

_TILE = 32  # pixels of the source along the side of what is labelled together
_LEAST = 8  # or so many scores, if that is more: two more around it are read
_MOST = 0.4  # of the tiles; if more of them changed, all at once takes less time


class Relabel:
    """`argmax` for the frames of one stream in turn; it says the same.

    It compares the scores with those of the frame before, and interpolates anew where one
    changed. If a score does not cover a whole number of source pixels, it does so everywhere.
    """

    def __init__(self) -> None:
        self._tiling: _Tiling | None = None
        self._scores: NDArray[np.float32]  # (classes, rows, cols) of the last frame, bordered by 2
        self._labels: NDArray[np.uint8]  # of its input, bordered by one score

    def __call__(
        self, outputs: Sequence[NDArray[np.float32]], fit: Fit, classes: tuple[str, ...]
    ) -> Segmentation:
        (maps,) = read_outputs("argmax", outputs, (1, len(classes), "rows", "cols"))
        lies = in_source_pixels(fit)
        if lies is None or lies[2] % maps.shape[2] or lies[3] % maps.shape[3]:
            return argmax(outputs, fit, classes)
        top, left, *size = lies
        self._advance(maps[0], _Tiling.make(maps.shape[2:], size))
        top, left = top + size[0] // maps.shape[2], left + size[1] // maps.shape[3]
        height, width = fit.source
        return Segmentation(
            labels=self._labels[top : top + height, left : left + width].copy(),
            classes=classes,
            logits=of_picture(self._scores[:, 2:-2, 2:-2], fit),
        )

    def _advance(self, maps: NDArray[np.float32], tiling: _Tiling) -> None:
        """Take over the scores of a frame, in new memory, and label in old what changed."""
        scores = np.empty((len(maps), maps.shape[1] + 4, maps.shape[2] + 4), np.float32)
        for map_, score in zip(maps, scores, strict=True):
            cv2.copyMakeBorder(map_, 2, 2, 2, 2, cv2.BORDER_REPLICATE, dst=score)
        corners = tiling.changed(self._scores, scores) if tiling == self._tiling else None
        if corners is None:
            labels = largest(cv2.resize(map_, tiling.size[::-1]) for map_ in maps)
            down, across = tiling.scale
            self._labels = np.pad(labels, ((down, down), (across, across)))
        elif len(corners):
            tiling.relabel(self._labels, scores, corners)
        self._tiling, self._scores = tiling, scores


@dataclass(frozen=True, slots=True)
class _Tiling:
    """An input cut into tiles. Those at the right and the bottom may overlap others."""

    scores: tuple[int, int]  # (rows, cols) of the maps
    scale: tuple[int, int]  # (height, width) of a score, in pixels of the source
    tile: tuple[int, int]  # (rows, cols) of a tile, in scores

    @classmethod
    def make(cls, scores: Sequence[int], size: Sequence[int]) -> _Tiling:
        """Cut an input of `size` (height, width), in pixels of the source."""
        scale = size[0] // scores[0], size[1] // scores[1]
        rows, cols = (
            min(max(_TILE // fine, _LEAST), n) for fine, n in zip(scale, scores, strict=True)
        )
        return cls((scores[0], scores[1]), scale, (rows, cols))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input, in pixels of the source."""
        return self.scores[0] * self.scale[0], self.scores[1] * self.scale[1]

    def changed(
        self, before: NDArray[np.float32], now: NDArray[np.float32]
    ) -> NDArray[np.intp] | None:
        """The tiles (N, 2), top and left, of which a score changed.

        None if there are so many that there is no point in choosing.
        """
        differs = before[0] != now[0]
        if differs.mean() > _MOST:  # soon known when all is computed
            return None
        for old, new in zip(before[1:], now[1:], strict=True):
            differs |= old != new
        differs = differs[2:-2, 2:-2]
        for axis, (count, tile) in enumerate(zip(self.scores, self.tile, strict=True)):
            differs = np.logical_or.reduceat(differs, np.arange(0, count, tile), axis)
        if differs.mean() > _MOST:
            return None
        last = np.subtract(self.scores, self.tile)
        corners: NDArray[np.intp] = np.minimum(np.argwhere(differs) * self.tile, last)
        return corners

    def relabel(
        self, labels: NDArray[np.uint8], scores: NDArray[np.float32], corners: NDArray[np.intp]
    ) -> None:
        """Write the labels of some tiles, and of one score around them: so far it reaches."""
        (down, across), (rows, cols) = self.scale, self.tile
        top, left = corners.T
        parts = windows(scores, (rows + 4, cols + 4))[:, top, left]
        # One below the other, they are interpolated at once; where they meet is not used.
        lines = parts.reshape(len(scores), -1, cols + 4)
        size = (cols + 4) * across, lines.shape[1] * down
        fine = largest(cv2.resize(line, size).astype(np.float32, copy=False) for line in lines)
        tiles = fine.reshape(len(corners), -1, size[0])[:, down:-down, across:-across]
        windows(labels, tiles.shape[1:])[top * down, left * across] = tiles
