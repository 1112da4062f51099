"""What a stream knew of each block, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.types import Frame


class Ages:
    """How long ago each block was computed: 0 for those that were now."""

    def __init__(self) -> None:
        self._grid: BlockGrid | None = None
        self.frames: NDArray[np.int64] = np.zeros((0, 0), np.int64)  # (rows, cols)
        self._now = 0.0
        self._computed_at: NDArray[np.float64] = np.zeros((0, 0))  # (rows, cols), seconds
        self._shows: NDArray[np.bool_] = np.zeros((0, 0), bool)  # blocks with a part of the picture

    def advance(self, mask: BlockMask, pts_seconds: float) -> None:
        """Take over a frame of which `mask` was computed."""
        if mask.grid != self._grid:
            self._grid = mask.grid
            self.frames = np.zeros(mask.grid.shape, np.int64)
            self._computed_at = np.full(mask.grid.shape, pts_seconds)
            self._shows = mask.grid.mean(np.ones((1, 1), np.float32)) > 0
        self._now = pts_seconds
        self.frames += 1
        self.frames[mask.active] = 0
        self._computed_at[mask.active] = pts_seconds

    @property
    def oldest(self) -> tuple[int, float]:
        """The longest age of a block that shows a part of the picture, in frames and seconds."""
        frames = int(self.frames[self._shows].max())
        return frames, self._now - float(self._computed_at[self._shows].min())


class History:
    """The reference picture and the ages, as of the last frame it was given."""

    def __init__(self) -> None:
        self.ages = Ages()
        self.reference: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)  # (H, W, 3) RGB

    def advance(self, frame: Frame, mask: BlockMask) -> None:
        """Take over a frame of which `mask` was computed."""
        self.ages.advance(mask, frame.pts_seconds)
        if self.reference.shape[:2] != frame.size:
            self.reference = frame.image.copy()
        elif mask:
            chosen = mask.pixels(*frame.size)
            np.copyto(self.reference, frame.image, where=chosen[:, :, None])
