"""The loop: frame -> mask -> model -> result. No threads, no Ray, no torch.

`Stream` is what one stream knows: it owns the first frame, the reference and the faults of its
policy. `Pipeline` joins it with a model. Other shells may put the two in different processes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any, Protocol

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.policy import Policy, StreamState
from streamdyn.types import Frame, Prediction, Result, StageSeconds

log = logging.getLogger(__name__)


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
    """

    def __init__(self, policy: Policy, grid: BlockGrid) -> None:
        self.policy = policy
        self.grid = grid
        self._fault: str | None = None  # the first thing the policy did wrong on this frame
        self._faults = 0
        self._state: StreamState | None = None
        self._age_frames = 0
        self._computed_at = 0.0

    def decide(self, frame: Frame) -> BlockMask:
        """Return the blocks of `frame` to compute: all of them for the first frame."""
        self._fault = None
        if self._state is None:
            self._reset(frame)
            return self.grid.all()
        try:
            mask = self.policy.decide(frame, self._state)
        except Exception as error:
            return self._distrust(f"raised {type(error).__name__}: {error}", frame)
        if not isinstance(mask, BlockMask):
            return self._distrust(f"returned {type(mask).__name__}, not a BlockMask", frame)
        if mask.grid != self.grid:
            return self._distrust(f"returned a mask of {mask.grid}, not of {self.grid}", frame)
        return mask

    def advance(
        self,
        frame: Frame,
        mask: BlockMask,
        computed: Result | None,
        share: float,
        seconds: StageSeconds,
    ) -> Prediction:
        """Take over the result of a frame, None if nothing was computed, and tell of it."""
        state = self._state
        if computed is None:
            assert state is not None, "the first frame of a stream is computed"
            result = state.result
            state.advance(frame, mask, result)
            self._age_frames += 1
        else:
            result = computed
            if state is None:
                self._state = StreamState.start(self.grid, frame, result, share, seconds.model)
            else:
                self._observe(frame, mask, state.result, result)
                state.advance(frame, mask, result, share, seconds.model)
            self._age_frames, self._computed_at = 0, frame.pts_seconds
        return Prediction(
            stream=frame.stream,
            index=frame.index,
            pts_seconds=frame.pts_seconds,
            status="reused" if computed is None else "computed",
            age_frames=self._age_frames,
            age_seconds=frame.pts_seconds - self._computed_at,
            density=mask.density,
            share=share,
            latency_seconds=seconds.policy + seconds.model,
            result=result,
            fault=self._fault,
            mask=mask,
            seconds=seconds,
        )

    def _reset(self, frame: Frame) -> None:
        try:
            self.policy.reset()
        except Exception as error:
            self._blame(f"raised {type(error).__name__} in reset: {error}", frame)

    def _observe(self, frame: Frame, mask: BlockMask, before: Result, after: Result) -> None:
        try:
            self.policy.observe(mask, before, after)
        except Exception as error:
            self._blame(f"raised {type(error).__name__} in observe: {error}", frame)

    def _distrust(self, what: str, frame: Frame) -> BlockMask:
        """Replace a decision by a full computation."""
        self._blame(what, frame)
        return self.grid.all()

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
    """

    def __init__(self, model: Model, policy: Policy) -> None:
        self.model = model
        self.policy = policy

    def run(self, frames: Iterable[Frame]) -> Iterator[Prediction]:
        """Yield one prediction per frame, in order. Skipped frames repeat the last result.

        A frame of another stream, or of another size, starts anew: it is computed whole.
        """
        for _, prediction in self.pairs(frames):
            yield prediction

    def pairs(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Prediction]]:
        """Like `run`, and hand out each frame with its prediction: to draw on it, say."""
        key: tuple[str, tuple[int, int]] | None = None
        start = perf_counter()
        for frame in frames:
            decoded = perf_counter()
            if key != (frame.stream, frame.size):
                key = frame.stream, frame.size
                stream = Stream(self.policy, self.model.grid(frame.size))
                cache = self.model.new_cache(frame.size)
            ready = perf_counter()
            mask = stream.decide(frame)
            decided = perf_counter()
            computed = self.model(frame, mask, cache) if mask else None
            done = perf_counter()
            seconds = StageSeconds(
                decode=decoded - start,
                setup=ready - decoded,
                policy=decided - ready,
                model=done - decided,
            )
            share = self.model.share(mask) if mask else 0.0
            yield frame, stream.advance(frame, mask, computed, share, seconds)
            start = perf_counter()
