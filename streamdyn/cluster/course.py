"""The decisions about one stream's frames, which are computed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from time import monotonic, perf_counter

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.cluster.checkpoints import packed, unpacked
from streamdyn.cluster.link import Connection, Link
from streamdyn.cluster.messages import Checkpoint, Work
from streamdyn.load import load_policy
from streamdyn.pipeline import Stream
from streamdyn.quality import Keeper, Quality
from streamdyn.sources.resume import Resume
from streamdyn.types import Frame, Prediction, StageSeconds

CHECKPOINT_SECONDS = 1.0  # between checkpoints, at least


@dataclass(frozen=True, slots=True)
class Spent:
    """What a frame took on its way."""

    policy: float = 0.0  # seconds, as the next two
    engine: float = 0.0  # until it was done there, with what was before it
    transfer: float = 0.0
    sent_bytes: int = 0


class Course:
    """Takes the frames of one stream to their predictions, once over.

    Of a recording, pictures are now and then computed whole, so that from the last one on it can
    soon be done again; see `Work.restart_after`.

    Raises:
        PolicyError: the policy cannot be built.
    """

    def __init__(self, work: Work, connection: Connection, *, live: bool) -> None:
        self._checkpoint: Checkpoint | None = None  # that nobody took yet
        self._work = work
        self._live = live
        self._policy = load_policy(work.policy)
        self._threshold = self._policy.threshold  # as given; the keeper moves it
        self._link = Link(connection, logits=self._policy.reads_logits)
        self._keeper: Keeper | None = None  # of the stream
        self._stream: Stream | None = None
        self._size: tuple[int, int] | None = None
        self._last: Resume | None = None  # the frame taken before this one
        self._decided = False  # about the next frame: all of it is computed
        self._since_whole = 0.0  # whole pictures' worth of computation
        self._kept_at = -CHECKPOINT_SECONDS

    def resume(self, checkpoint: Checkpoint) -> bool:
        """Begin with the frame of a checkpoint; return whether that can be used."""
        stream = unpacked(self._work.name, checkpoint.stream)
        if stream is None:
            return False
        self._stream, self._policy = stream, stream.policy
        self._last, self._decided = checkpoint.after, True
        return True

    def begin_anew(self) -> None:
        """Compute the next frame whole, of a live stream; what was learnt of it stays."""
        self._stream = None

    def take(self, frame: Frame, decode_seconds: float) -> tuple[Prediction, Spent]:
        """Decide about a frame, have it computed, and tell of it.

        Raises:
            EngineLostError: the engine is gone, or forgot the stream; begin anew before the next.
            StreamdynError: the model fails; begin anew as well.
        """
        start = perf_counter()
        stream = self._opened(frame)
        opened = perf_counter()
        mask = self._decide(frame, stream)
        policy = perf_counter() - opened
        self._last = Resume(frame.index, frame.pts_seconds)
        seconds = StageSeconds(decode=decode_seconds, setup=opened - start, policy=policy)
        if not mask:
            return stream.advance(frame, mask, None, 0.0, seconds), Spent(policy)
        sent = self._link.compute(frame, mask)
        answer = sent.answer
        self._since_whole = 0.0 if mask.density == 1 else self._since_whole + answer.share
        seconds = replace(seconds, model=answer.seconds, wait=sent.wait_seconds)
        prediction = stream.advance(frame, mask, answer.result, answer.share, seconds)
        policy += prediction.seconds.policy - seconds.policy  # what it took to learn
        return prediction, Spent(policy, answer.held_seconds, sent.transfer_seconds, sent.bytes)

    def take_checkpoint(self) -> Checkpoint | None:
        """One that was made since the last time."""
        found, self._checkpoint = self._checkpoint, None
        return found

    def audit(self, frame: Frame, prediction: Prediction) -> None:
        """Have the frame that was taken last computed whole as well, if that is due.

        Raises:
            EngineLostError, StreamdynError: as `take`.
        """
        stream = self._stream
        if stream and stream.audit_due:
            dense = self._link.compute(frame, stream.grid.all(), audit=True).answer
            stream.audited(prediction, dense.result, dense.seconds)

    def _opened(self, frame: Frame) -> Stream:
        """The stream, its link open for pictures of the frame's size."""
        before = self._size
        if self._stream and before == frame.size:
            return self._stream
        grid = self._link.open(frame.size)
        if before != frame.size:
            self._keeper = None  # it learnt of other pictures
        if not self._stream or before:  # nothing to go on from, or a new size
            self._stream = self._new_stream(grid)
        self._size = frame.size
        return self._stream

    def _decide(self, frame: Frame, stream: Stream) -> BlockMask:
        """The blocks to compute."""
        if self._decided:
            self._decided = False
            return stream.grid.all()
        mask = stream.decide(frame)
        if self._whole_due() or mask.density == 1:
            mask = stream.grid.all()
            if self._link.moved:  # nothing depends on what the old engine kept
                self._link.open(frame.size)
            self._keep(stream)
        return mask

    def _whole_due(self) -> bool:
        """Whether the next picture must be computed whole, whatever the policy says of it."""
        if self._live:
            return self._link.moved
        after = self._work.restart_after
        return after is not None and self._since_whole >= after

    def _keep(self, stream: Stream) -> None:
        """Make a checkpoint, unless there is a new one already."""
        recent = monotonic() - self._kept_at < CHECKPOINT_SECONDS
        if self._live or recent or self._last is None:
            return
        state = packed(self._work.name, stream)
        self._kept_at = monotonic() if state else inf
        if state:
            self._checkpoint = Checkpoint(self._last, state)

    def _new_stream(self, grid: BlockGrid) -> Stream:
        quality = self._work.quality or Quality(guard=False)
        self._keeper = self._keeper or Keeper(quality, self._policy, self._threshold)
        return Stream(
            self._policy,
            grid,
            keeper=self._keeper,
            timeout_seconds=self._work.policy_timeout_seconds,
        )
