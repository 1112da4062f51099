"""The plug-in point: a policy looks at a frame and says which blocks to compute."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.types import Frame, Result, read_only


@dataclass(slots=True)
class StreamState:
    """What a stream last computed. The pipeline advances it; policies only read it."""

    grid: BlockGrid
    result: Result  # the last result
    share: float  # of the multiply-accumulates that it cost, in [0, 1]
    seconds: float  # that the model took for it
    _reference: NDArray[np.uint8]
    _age: NDArray[np.int32]
    _computed_at: NDArray[np.float64]

    @classmethod
    def start(
        cls, grid: BlockGrid, frame: Frame, result: Result, share: float = 1.0, seconds: float = 0.0
    ) -> StreamState:
        """The state after a key frame."""
        age = np.ones(grid.shape, np.int32)
        computed_at = np.full(grid.shape, frame.pts_seconds)
        return cls(grid, result, share, seconds, frame.luma.copy(), age, computed_at)

    @property
    def reference(self) -> NDArray[np.uint8]:
        """Luma (H, W), each block as it was when last computed; cannot be written."""
        return read_only(self._reference)

    @property
    def age(self) -> NDArray[np.int32]:
        """Frames since each block (rows, cols) was computed, at least 1; cannot be written."""
        return read_only(self._age)

    @property
    def computed_at(self) -> NDArray[np.float64]:
        """Presentation time, in seconds, of the frame that each block (rows, cols) was last
        computed of; cannot be written."""
        return read_only(self._computed_at)

    def advance(
        self,
        frame: Frame,
        mask: BlockMask,
        result: Result,
        share: float = 0.0,
        seconds: float = 0.0,
    ) -> None:
        """Take over a frame of which `mask` was computed, at which cost."""
        self._age += 1
        if mask:
            height, width = self._reference.shape
            np.copyto(self._reference, frame.luma, where=mask.pixels(height, width))
            self._age[mask.active] = 1
            self._computed_at[mask.active] = frame.pts_seconds
            self.result, self.share, self.seconds = result, share, seconds


class Policy(ABC):
    """Decides what to compute, frame by frame.

    One policy serves one stream. It never sees the first frame of a stream (nor the first after a
    change of size): that is computed whole before the policy is asked for anything. A policy that
    raises, or returns anything but a mask of `state.grid`, costs its frame a full computation and
    is reported; the stream goes on.
    """

    reads_motion: bool = False
    """Whether it reads `frame.motion`. Sources export motion vectors only if asked to."""

    reads_logits: bool = False
    """Whether it reads the `logits` of segmentations. Where results come from other processes,
    these come with them only if asked for."""

    only_key_frames: bool = False
    """Whether it reads and computes only the codec's key frames: others need not be decoded."""

    threshold: float | None = None
    """What it compares with, if it does: above 0, and the larger, the less it computes. Whoever
    holds the quality of a stream at a target sets it while the stream runs."""

    @abstractmethod
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        """Return the blocks to compute. Must not change `frame` or `state`."""

    def observe(self, mask: BlockMask, before: Result, after: Result) -> None:  # noqa: B027
        """Learn from what computing `mask` changed. Called for each computed frame that it was
        asked about; `mask` may hold more than it asked for."""

    def reset(self) -> None:  # noqa: B027
        """Forget the stream. Called when a stream starts, and when its picture changes size."""

    def __and__(self, other: Policy) -> Policy:
        """Compute the blocks that both ask for: a skip by either skips the frame."""
        return _Combined(self, other, union=False)

    def __or__(self, other: Policy) -> Policy:
        """Compute the blocks that either asks for."""
        return _Combined(self, other, union=True)


class _Combined(Policy):
    def __init__(self, first: Policy, second: Policy, *, union: bool) -> None:
        self.parts = first, second
        self.union = union
        self.reads_motion = first.reads_motion or second.reads_motion
        self.reads_logits = first.reads_logits or second.reads_logits
        self.only_key_frames = first.only_key_frames and second.only_key_frames

    @property
    def threshold(self) -> float | None:
        """That of the first part that has one. To set it scales those of both alike."""
        return next((p.threshold for p in self.parts if p.threshold is not None), None)

    @threshold.setter
    def threshold(self, threshold: float | None) -> None:
        now = self.threshold
        if threshold is None or not now:
            raise ValueError(f"cannot scale thresholds from {now} to {threshold}")
        for part in self.parts:
            if part.threshold is not None:
                part.threshold *= threshold / now

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        # Both are asked always, so that one that counts or draws at random stays in step.
        first, second = (part.decide(frame, state) for part in self.parts)
        return first | second if self.union else first & second

    def observe(self, mask: BlockMask, before: Result, after: Result) -> None:
        for part in self.parts:
            part.observe(mask, before, after)

    def reset(self) -> None:
        for part in self.parts:
            part.reset()


class ScorePolicy(Policy):
    """Scores the blocks, and computes those above its threshold and some around them.

    A subclass defines `scores`, and others can rank its blocks by them.

    Args:
        threshold: of the scores.
        grow: blocks around those that are added, because what a network says of a block depends on
            its neighbours.

    Raises:
        ValueError: one of them is negative.
    """

    threshold: float

    def __init__(self, threshold: float, grow: int = 0) -> None:
        if threshold < 0 or grow < 0:
            raise ValueError(f"threshold and grow must not be negative, got {threshold}, {grow}")
        self.threshold = threshold
        self.grow = grow

    @abstractmethod
    def scores(self, frame: Frame, state: StreamState) -> NDArray[np.float32]:
        """How much each block is worth computing (rows, cols). Called once per frame."""

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return self.due(self.scores(frame, state), state.grid)

    def due(self, scores: NDArray[np.float32], grid: BlockGrid) -> BlockMask:
        """The blocks that such scores call for.

        Raises:
            ValueError: a score is NaN.
        """
        if np.isnan(scores).any():
            raise ValueError("a score is NaN")
        return BlockMask(grid, scores > self.threshold).grow(self.grow)
