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
    _reference: NDArray[np.uint8]
    _age: NDArray[np.int32]

    @classmethod
    def start(cls, grid: BlockGrid, frame: Frame, result: Result) -> StreamState:
        """The state after a key frame."""
        return cls(grid, result, frame.luma.copy(), np.ones(grid.shape, np.int32))

    @property
    def reference(self) -> NDArray[np.uint8]:
        """Luma (H, W), each block as it was when last computed; cannot be written."""
        return read_only(self._reference)

    @property
    def age(self) -> NDArray[np.int32]:
        """Frames since each block (rows, cols) was computed, at least 1; cannot be written."""
        return read_only(self._age)

    def advance(self, frame: Frame, mask: BlockMask, result: Result) -> None:
        """Take over a frame of which `mask` was computed."""
        self._age += 1
        if mask:
            height, width = self._reference.shape
            np.copyto(self._reference, frame.luma, where=mask.pixels(height, width))
            self._age[mask.active] = 1
            self.result = result


class Policy(ABC):
    """Decides what to compute, frame by frame.

    One policy serves one stream. It never sees the first frame of a stream (nor the first after a
    change of size): that is computed whole before the policy is asked for anything. A policy that
    raises, or returns anything but a mask of `state.grid`, costs its frame a full computation and
    is reported; the stream goes on.
    """

    reads_motion: bool = False
    """Whether it reads `frame.motion`. Sources export motion vectors only if asked to."""

    @abstractmethod
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        """Return the blocks to compute. Must not change `frame` or `state`."""

    def observe(self, mask: BlockMask, before: Result, after: Result) -> None:  # noqa: B027
        """Learn from what computing `mask` changed. Called once per computed frame."""

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
