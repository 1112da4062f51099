"""The loop: frame -> mask -> model -> result. No Ray, no torch; one thread, and one more for a
policy that is not ours.

`Stream` is what one stream knows: it owns the first frame, the reference, the faults of its policy
and what holds its quality. `Pipeline` joins it with a model. Other shells may put the two in
different processes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.metrics import agreement
from streamdyn.policy import Policy, StreamState
from streamdyn.quality import Keeper, Quality
from streamdyn.types import Audit, Frame, Prediction, Result, StageSeconds
from streamdyn.watch import HungError, PolicyCalls

log = logging.getLogger(__name__)

Clock = Callable[[], float]  # seconds

POLICY_TIMEOUT_SECONDS = 1.0


class Model(Protocol):
    """What the pipeline needs of a model. A cache belongs to one stream, not to the model."""

    def grid(self, size: tuple[int, int]) -> BlockGrid:
        """The blocks that the model computes of a picture of `size` (height, width)."""

    def new_cache(self, size: tuple[int, int]) -> Any:
        """What the model keeps of one stream of pictures of `size` (height, width)."""

    def __call__(self, frame: Frame, mask: BlockMask, cache: Any) -> Result:
        """Compute the masked blocks, reuse the rest from the cache, and update it."""

    def share(self, mask: BlockMask) -> float:
        """Fraction of the multiply-accumulates that computing `mask` costs, in [0, 1]."""


class Stream:
    """One stream's decisions. Call `decide`, compute what it says, then `advance`.

    Args:
        grid: the blocks that the model computes of each of the stream's pictures.
        keeper: what holds the stream at a quality, if anything does.
        timeout_seconds: see `Pipeline`.
    """

    def __init__(
        self,
        policy: Policy,
        grid: BlockGrid,
        *,
        keeper: Keeper | None = None,
        timeout_seconds: float = POLICY_TIMEOUT_SECONDS,
        clock: Clock = perf_counter,
    ) -> None:
        self.policy = policy
        self.grid = grid
        self.audit_due = False  # whether to compute the last frame whole as well, for `audited`
        self._keeper = keeper or Keeper(Quality(guard=False), policy, None)
        self._call = PolicyCalls(policy, timeout_seconds)
        self._clock = clock
        self._asked = False  # the policy, about this frame
        self._given_up = False  # the policy
        self._fault: str | None = None  # the first thing the policy did wrong on this frame
        self._faults = 0
        self._state: StreamState | None = None
        self._age_frames = 0
        self._computed_at = 0.0
        self._audit: Audit | None = None  # not yet told of, nor the seconds it took
        self._audit_seconds = 0.0

    def decide(self, frame: Frame) -> BlockMask:
        """Return the blocks of `frame` to compute: all of them for the first frame."""
        self._fault, self._asked = None, False
        state = self._state
        if state is None:
            self._try("reset", self.policy.reset, frame)
            return self.grid.all()
        if self._given_up:
            return self.grid.all()
        mask = self._keeper.preset(self.grid)
        if mask is None:
            mask = self._ask(frame, state)
        return self._keeper.complete(mask, frame, state)

    def advance(
        self,
        frame: Frame,
        mask: BlockMask,
        computed: Result | None,
        share: float,
        seconds: StageSeconds,
    ) -> Prediction:
        """Take over the result of a frame, None if nothing was computed, and tell of it.

        Args:
            share: of the multiply-accumulates that `mask` costs.
            seconds: that the frame took so far; what the policy takes to observe is added.
        """
        result, seconds = self._show(frame, computed, seconds)
        seconds = self._observe(frame, mask, computed, seconds)
        audit, self._audit, self._audit_seconds = self._audit, None, 0.0
        self._look_after(frame, mask, result, seconds)
        self._take_over(frame, mask, computed, share, seconds)
        return Prediction(
            stream=frame.stream,
            index=frame.index,
            pts_seconds=frame.pts_seconds,
            status="reused" if computed is None else "computed",
            age_frames=self._age_frames,
            age_seconds=frame.pts_seconds - self._computed_at,
            density=mask.density,
            share=share,
            latency_seconds=seconds.policy + seconds.model + seconds.wait,
            result=result,
            fault=self._fault,
            audit=audit,
            mask=mask,
            seconds=seconds,
        )

    def audited(self, prediction: Prediction, dense: Result, model_seconds: float) -> None:
        """Learn what the model says of the whole frame that the last prediction is of.

        Args:
            model_seconds: that the model took to say so.
        """
        start = self._clock()
        found = agreement(prediction.result, dense)
        self._keeper.learn(found, model_seconds)
        self._audit = Audit(prediction.index, found)
        self._audit_seconds += model_seconds + self._clock() - start

    def _show(
        self, frame: Frame, computed: Result | None, seconds: StageSeconds
    ) -> tuple[Result, StageSeconds]:
        """The result of a frame, and the seconds with those that an old result takes."""
        if computed is not None:
            return computed, seconds
        assert self._state is not None, "the first frame of a stream is computed"
        start = self._clock()
        result = self._keeper.shown(frame, self._state)
        return result, replace(seconds, model=seconds.model + self._clock() - start)

    def _look_after(
        self, frame: Frame, mask: BlockMask, result: Result, seconds: StageSeconds
    ) -> None:
        """Let the keeper learn of a frame, after the first, and say whether to audit it."""
        state = self._state
        if state is None:
            return
        start = self._clock()
        before = partial(self._keeper.shown, frame, state)
        self.audit_due = self._keeper.advance(mask.density, seconds, before, result)
        self._audit_seconds = self._clock() - start

    def _take_over(
        self,
        frame: Frame,
        mask: BlockMask,
        computed: Result | None,
        share: float,
        seconds: StageSeconds,
    ) -> None:
        """Advance the state."""
        state = self._state
        if computed is not None:
            self._age_frames, self._computed_at = 0, frame.pts_seconds
            if state is None:
                self._state = StreamState.start(self.grid, frame, computed, share, seconds.model)
            else:
                state.advance(frame, mask, computed, share, seconds.model)
        elif state is not None:
            state.advance(frame, mask, state.result)
            self._age_frames += 1

    def _ask(self, frame: Frame, state: StreamState) -> BlockMask:
        """What the policy says, or everything where it fails."""
        self._asked = True
        mask = self._try("decide", lambda: self.policy.decide(frame, state), frame)
        if self._fault is None and not isinstance(mask, BlockMask):
            self._blame(f"returned {type(mask).__name__}, not a BlockMask", frame)
        if self._fault is None and mask.grid != self.grid:
            self._blame(f"returned a mask of {mask.grid}, not of {self.grid}", frame)
        return mask if self._fault is None else self.grid.all()

    def _observe(
        self, frame: Frame, mask: BlockMask, computed: Result | None, seconds: StageSeconds
    ) -> StageSeconds:
        """Let the policy learn, if it was asked; return the seconds with those that this took."""
        seconds = replace(seconds, audit=self._audit_seconds)
        state = self._state
        if state is None or computed is None or not self._asked or self._given_up:
            return seconds
        before = state.result
        start = self._clock()
        self._try("observe", lambda: self.policy.observe(mask, before, computed), frame)
        return replace(seconds, policy=seconds.policy + self._clock() - start)

    def _try(self, method: str, call: Callable[[], Any], frame: Frame) -> Any:
        """Return what the policy does, or blame it for what it does not; give up one that hangs."""
        where = "" if method == "decide" else f" in {method}"
        try:
            return self._call(method, call)
        except HungError as error:
            self._given_up = True
            self._blame(f"{error}{where} and is given up: all is computed from here on", frame)
        except Exception as error:
            self._blame(f"raised {type(error).__name__}{where}: {error}", frame)
        return None

    def _blame(self, what: str, frame: Frame) -> None:
        """Note what the policy did wrong, and say so the first time."""
        self._fault = self._fault or f"{type(self.policy).__name__} {what}"
        self._faults += 1
        if self._faults == 1:
            log.warning("%s, frame %d: policy %s", frame.stream, frame.index, self._fault)


class Pipeline:
    """A model and a policy.

    >>> for prediction in Pipeline(model, policy).run(open_source("cam.mp4")):  # doctest: +SKIP
    ...     print(prediction.pts_seconds, prediction.status, prediction.result)

    Args:
        quality: what to hold the streams at; None: the policy has the only word.
        policy_timeout_seconds: for a call of a policy that does not ship with streamdyn, ten times
            that for its first one. A policy that takes longer is given up for its stream.

    Raises:
        PolicyError: the quality needs a threshold, and the policy has none.
        ValueError: the timeout is not above 0.
    """

    def __init__(
        self,
        model: Model,
        policy: Policy,
        *,
        quality: Quality | None = None,
        policy_timeout_seconds: float = POLICY_TIMEOUT_SECONDS,
        clock: Clock = perf_counter,
    ) -> None:
        if not policy_timeout_seconds > 0:
            raise ValueError(f"a policy needs time to answer, got {policy_timeout_seconds} s")
        self.model = model
        self.policy = policy
        self.quality = quality or Quality(guard=False)
        self.quality.require_threshold(policy)
        self._threshold = policy.threshold  # as given; a stream moves it
        self._timeout_seconds = policy_timeout_seconds
        self._clock = clock

    def run(self, frames: Iterable[Frame]) -> Iterator[Prediction]:
        """Yield one prediction per frame, in order. Skipped frames repeat the last result.

        A frame of another stream, or of another size, starts anew: it is computed whole.
        """
        for _, prediction in self.pairs(frames):
            yield prediction

    def pairs(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Prediction]]:
        """Like `run`, and hand out each frame with its prediction: to draw on it, say."""
        clock = self._clock
        key: tuple[str, tuple[int, int]] | None = None
        start = clock()
        for frame in frames:
            decoded = clock()
            if key != (frame.stream, frame.size):
                key = frame.stream, frame.size
                stream = self._new_stream(frame)
                cache = self.model.new_cache(frame.size)
                spare = self.model.new_cache(frame.size) if self.quality.target else None
            ready = clock()
            mask = stream.decide(frame)
            decided = clock()
            computed = self.model(frame, mask, cache) if mask else None
            done = clock()
            seconds = StageSeconds(
                decode=decoded - start,
                setup=ready - decoded,
                policy=decided - ready,
                model=done - decided,
            )
            share = self.model.share(mask) if mask else 0.0
            prediction = stream.advance(frame, mask, computed, share, seconds)
            yield frame, prediction
            if stream.audit_due:  # only now: nobody waits for it but the next frame
                self._audit(stream, frame, prediction, spare)
            start = clock()

    def _new_stream(self, frame: Frame) -> Stream:
        return Stream(
            self.policy,
            self.model.grid(frame.size),
            keeper=Keeper(self.quality, self.policy, self._threshold),
            timeout_seconds=self._timeout_seconds,
            clock=self._clock,
        )

    def _audit(self, stream: Stream, frame: Frame, prediction: Prediction, cache: Any) -> None:
        """Compute a frame whole, beside the stream: its own cache and state stay as they are."""
        start = self._clock()
        dense = self.model(frame, stream.grid.all(), cache)
        stream.audited(prediction, dense, self._clock() - start)
