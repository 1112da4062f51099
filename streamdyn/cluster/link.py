"""The way of a stream's pictures to an engine: cut, packed, sent, answered."""

from __future__ import annotations

import pickle
from threading import Event as Flag
from time import perf_counter
from typing import NamedTuple, Protocol

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.cluster.messages import Answer, Job
from streamdyn.models.cut import Cutter, Intake
from streamdyn.types import Frame


class Connection(Protocol):
    """The way to the engine that a stream is given to.

    Raises:
        EngineLostError: from `open` and `compute`: the engine is gone, or has forgotten the stream.
        StreamdynError: from the same: the model fails.
    """

    @property
    def moved(self) -> bool:
        """Whether the stream was given to another engine since it was opened."""

    def open(self, size: tuple[int, int]) -> Intake:
        """Make the engine that the stream is given to ready for pictures of a size, and use it."""

    def compute(self, payload: bytes) -> Answer:
        """Have the engine compute a pickled `Job`."""

    def renew(self, stop: Flag) -> None:
        """Wait for an engine that is there, after one was lost, or until told to stop."""

    def close(self) -> None:
        """Let the engine forget the stream."""


class Sent(NamedTuple):
    """What an engine said of a picture, and what that took."""

    answer: Answer
    wait_seconds: float  # beside those that the engine spent on this picture
    transfer_seconds: float  # of these, on the way
    bytes: int  # that were sent


class Link:
    """Sends the pictures of one stream.

    Args:
        logits: whether segmentations are wanted with their logits.
    """

    def __init__(self, connection: Connection, *, logits: bool) -> None:
        self._connection = connection
        self._logits = logits
        self._intake: Intake | None = None
        self._cutter: Cutter | None = None

    @property
    def moved(self) -> bool:
        """Whether to open the link again, to another engine."""
        return self._connection.moved

    def open(self, size: tuple[int, int]) -> BlockGrid:
        """Make an engine ready for pictures of a size, from nothing; return their blocks."""
        self._intake = self._connection.open(size)
        self._cutter = self._intake.cutter()
        return self._intake.grid

    def compute(self, frame: Frame, mask: BlockMask, *, audit: bool = False) -> Sent:
        """Have the masked blocks of a picture computed."""
        assert self._intake is not None, "a link is opened first"
        assert self._cutter is not None
        start = perf_counter()
        pieces = self._cutter(frame, self._intake.seen(mask))
        payload = pickle.dumps(Job(pieces, mask, audit, self._logits), protocol=5)
        answer = self._connection.compute(payload)
        wall = perf_counter() - start
        transfer = max(wall - answer.held_seconds, 0.0)
        return Sent(answer, max(wall - answer.seconds, 0.0), transfer, len(payload))
