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
        self._of: tuple[Fit, tuple[int, ...]] | None = None  # pictures and maps, as they were last
        self._tiling: _Tiling | None = None
        self._scores: NDArray[np.float32] | None = None  # (classes, rows, cols), bordered by two
        self._labels: NDArray[np.uint8]  # of the input, bordered by one score

    def __call__(
        self, outputs: Sequence[NDArray[np.float32]], fit: Fit, classes: tuple[str, ...]
    ) -> Segmentation:
        (maps,) = read_outputs("argmax", outputs, (1, len(classes), "rows", "cols"))
        if self._of != (fit, maps.shape):
            self._of, self._scores = (fit, maps.shape), None
            self._tiling = _Tiling.of(fit, maps.shape[2], maps.shape[3])
        if self._tiling is None:
            return argmax(outputs, fit, classes)
        scores = self._advance(maps[0], self._tiling)
        return Segmentation(
            labels=self._labels[self._tiling.picture].copy(),
            classes=classes,
            logits=of_picture(scores[:, 2:-2, 2:-2], fit),
        )

    def _advance(self, maps: NDArray[np.float32], tiling: _Tiling) -> NDArray[np.float32]:
        """Label what changed; return the scores, in memory that later frames leave alone."""
        scores = np.empty((len(maps), maps.shape[1] + 4, maps.shape[2] + 4), np.float32)
        for map_, score in zip(maps, scores, strict=True):
            cv2.copyMakeBorder(map_, 2, 2, 2, 2, cv2.BORDER_REPLICATE, dst=score)
        corners = None if self._scores is None else tiling.changed(self._scores, scores)
        if corners is None:
            self._labels = tiling.label(maps)
        elif len(corners):
            tiling.relabel(self._labels, scores, corners)
        self._scores = scores
        return scores


@dataclass(frozen=True, slots=True)
class _Tiling:
    """An input cut into tiles. Those at the right and the bottom may overlap others."""

    scores: tuple[int, int]  # (rows, cols) of the maps
    scale: tuple[int, int]  # (height, width) of a score, in pixels of the source
    tile: tuple[int, int]  # (rows, cols) of a tile, in scores
    picture: tuple[slice, slice]  # where the source lies among the bordered labels

    @classmethod
    def of(cls, fit: Fit, rows: int, cols: int) -> _Tiling | None:
        """Cut the input of a fit; None if its scores cover no whole numbers of pixels."""
        lies = in_source_pixels(fit)
        if lies is None or lies[2] % rows or lies[3] % cols:
            return None
        top, left, height, width = lies
        down, across = height // rows, width // cols
        picture = (
            slice(down + top, down + top + fit.source[0]),
            slice(across + left, across + left + fit.source[1]),
        )
        tile = min(max(_TILE // down, _LEAST), rows), min(max(_TILE // across, _LEAST), cols)
        return cls((rows, cols), (down, across), tile, picture)

    def label(self, maps: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The labels of an input, bordered by one score."""
        (down, across), (rows, cols) = self.scale, self.scores
        size = cols * across, rows * down
        labels = largest(cv2.resize(map_, size).astype(np.float32, copy=False) for map_ in maps)
        borders = down, down, across, across
        return cv2.copyMakeBorder(labels, *borders, cv2.BORDER_REPLICATE).astype(
            np.uint8, copy=False
        )

    def changed(
        self, before: NDArray[np.float32], now: NDArray[np.float32]
    ) -> NDArray[np.intp] | None:
        """The tiles (N, 2), top and left, of which a score changed.

        None if there are so many that there is no point in choosing.
        """
        differs = before[0] != now[0]
        if np.count_nonzero(differs) > _MOST * differs.size:  # soon known if all was computed
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
