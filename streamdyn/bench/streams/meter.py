"""Counting what streams tell, while they tell it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from streamdyn.progress import Unwatched
from streamdyn.types import Classification, Prediction


@dataclass(frozen=True, slots=True)
class Span:
    """What came in a span of time."""

    seconds: float
    frames: int
    blocks: int  # that were computed

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.frames / self.seconds

    @property
    def block_rate(self) -> float:
        """Blocks per second."""
        return self.blocks / self.seconds


@dataclass(slots=True)
class _Seen:
    """What came of one stream."""

    began_at: float  # when its first result came
    frames: int = 0
    blocks: int = 0
    ended_at: float = 0.0
    results: list[Classification] = field(default_factory=list)


class Meter(Unwatched):
    """Told of all predictions of some streams, from any thread.

    Args:
        keep: results of each stream that are kept, from its first frame.
    """

    def __init__(self, keep: int = 0) -> None:
        self._keep = keep
        self._streams: dict[str, _Seen] = {}
        self._lock = Lock()

    def update(self, prediction: Prediction) -> None:
        """Count a prediction."""
        now = perf_counter()
        with self._lock:
            seen = self._streams.setdefault(prediction.stream, _Seen(now))
            seen.frames += 1
            seen.ended_at = now
            if prediction.mask is not None:
                seen.blocks += int(prediction.mask.active.sum())
            if len(seen.results) < self._keep and isinstance(prediction.result, Classification):
                seen.results.append(prediction.result)

    def saw(self, streams: Iterable[str], frames: int = 1) -> bool:
        """Whether each of these streams has told of so many frames."""
        with self._lock:
            return all(
                name in self._streams and self._streams[name].frames >= frames for name in streams
            )

    def frames(self, stream: str) -> int:
        """How many frames of a stream came so far."""
        with self._lock:
            return self._streams[stream].frames if stream in self._streams else 0

    def results(self, stream: str) -> list[Classification]:
        """Those that were kept of it."""
        with self._lock:
            return list(self._streams[stream].results)

    def total(self) -> Span:
        """All streams together: the seconds are those of a clock, for `between`."""
        with self._lock:
            seen = self._streams.values()
            return Span(perf_counter(), sum(s.frames for s in seen), sum(s.blocks for s in seen))

    def one_by_one(self) -> Span:
        """All streams, one after the other, each from its first result on."""
        with self._lock:
            seen = self._streams.values()
            return Span(
                sum(s.ended_at - s.began_at for s in seen),
                sum(s.frames - 1 for s in seen),
                sum(s.blocks for s in seen),
            )


def between(before: Span, after: Span) -> Span:
    """What came between two totals."""
    return Span(
        after.seconds - before.seconds,
        after.frames - before.frames,
        after.blocks - before.blocks,
    )


def farthest(ours: Iterable[Classification], theirs: Iterable[Classification]) -> float:
    """The largest difference of any score between results, frame by frame, as far as both go."""
    pairs = zip(ours, theirs, strict=False)
    return max(float(np.abs(_by_label(a) - _by_label(b)).max()) for a, b in pairs)


def _by_label(result: Classification) -> NDArray[np.float32]:
    return result.scores[np.argsort(result.labels)]
