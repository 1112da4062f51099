"""Recompute the blocks that the video codec saw moving."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import Frame, ScorePolicy, StreamState

_CELL = 8  # pixels: no codec that tells its vectors moves anything smaller


class Motion(ScorePolicy):
    """Compute the blocks that moved, by the motion vectors of the bitstream: they cost nothing.

    A block's score is how far it moved since it was last computed: over the frames since then,
    the sum of the length of the longest vector on it. Where a part of a frame has no vectors, as
    in key frames of the codec and where it coded new content, the change of brightness since the
    block was last computed counts instead. So it does all over with sources without vectors.

    Vectors lead from frame to frame: with a stride, those of the frames left out are lost. Give
    such sources to `Change`.

    Args:
        threshold: pixels of the picture.
        grow: blocks around that are added.
        levels: grey levels of change that count as a pixel of motion.
    """

    reads_motion = True

    def __init__(self, threshold: float = 2.0, grow: int = 0, levels: float = 3.0) -> None:
        super().__init__(threshold, grow)
        if levels <= 0:
            raise ValueError(f"levels must be above 0, got {levels}")
        self.levels = levels
        self.reset()

    def reset(self) -> None:
        self._moved: NDArray[np.float32] | None = None  # pixels, since each block was computed

    def scores(self, frame: Frame, state: StreamState) -> NDArray[np.float32]:
        if self._moved is None:
            self._moved = np.zeros(state.grid.shape, np.float32)
        self._moved[state.age == 1] = 0
        lengths = _longest(frame)
        self._moved += state.grid.largest(np.maximum(lengths, 0))
        unknown = state.grid.largest(lengths < 0) > 0
        if not unknown.any():
            return self._moved.copy()
        change = state.grid.peak(cv2.absdiff(frame.luma, state.reference)) / self.levels
        return np.maximum(self._moved, np.where(unknown, change, 0))


def _longest(frame: Frame) -> NDArray[np.float32]:
    """The length of the longest vector on each cell of the picture; -1 where there is none."""
    height, width = frame.size
    lengths = np.full((-(-height // _CELL), -(-width // _CELL)), -1, np.float32)
    if frame.motion is not None:
        moved = np.hypot(*frame.motion.shifts.T)
        first, last = frame.motion.boxes[:, :2] // _CELL, (frame.motion.boxes[:, 2:] - 1) // _CELL
        for down in range(int((last - first)[:, 1].max(initial=-1)) + 1):
            for along in range(int((last - first)[:, 0].max(initial=-1)) + 1):
                x, y = np.minimum(first + np.array([along, down]), last).T
                np.maximum.at(lengths, (y, x), moved)
    return lengths
