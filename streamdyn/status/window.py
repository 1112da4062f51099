"""What happened to a stream in the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamdyn.status.account import Account
from streamdyn.status.figures import Limit, Rates
from streamdyn.types import Prediction

SECONDS = 10.0
FRAMES = 4000  # whose figures are kept at most

_LIMITS: tuple[Limit, ...] = ("source", "decode", "policy", "engine", "transfer", "sinks")


class _Mark(NamedTuple):
    """Where the counts stood."""

    at: float
    account: Account
    decoded: int
    seconds: Mapping[Limit, float]


class _Figures(NamedTuple):
    """Of one frame."""

    at: float
    age_seconds: float
    density: float
    share: float
    sent_bytes: int  # 0 for one of which nothing was computed
    engine_seconds: float


@dataclass(frozen=True, slots=True)
class Means:
    """Over the frames of a window; None where there are none."""

    density: float | None = None
    share: float | None = None
    bytes_per_frame: float | None = None  # that was computed, at least in part


class Window:
    """The figures of one stream over the last seconds."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._marks: deque[_Mark] = deque()
        self._frames: deque[_Figures] = deque(maxlen=FRAMES)

    def mark(
        self, now: float, account: Account, decoded: int, seconds: Mapping[Limit, float]
    ) -> None:
        """Take note of where the counts stand, and of the time that each stage took so far."""
        self._marks.append(_Mark(now, account, decoded, seconds))
        while len(self._marks) > 2 and self._marks[1].at <= now - self._seconds:
            self._marks.popleft()
        while self._frames and self._frames[0].at < now - self._seconds:
            self._frames.popleft()

    def add(
        self, now: float, prediction: Prediction, age_seconds: float, sent_bytes: int = 0
    ) -> None:
        """Take note of a frame that has a result.

        Args:
            age_seconds: from when the frame was there until its result was.
            sent_bytes: to whoever computed it.
        """
        density, share, engine = prediction.density, prediction.share, prediction.seconds.model
        self._frames.append(_Figures(now, age_seconds, density, share, sent_bytes, engine))

    def rates(self) -> Rates:
        """Frames per second."""
        if len(self._marks) < 2:
            return Rates()
        first, last = self._marks[0], self._marks[-1]
        seconds = max(last.at - first.at, 1e-9)
        before, after = first.account, last.account
        return Rates(
            captured=(after.captured - before.captured) / seconds,
            # A decoder that was replaced counts anew.
            decoded=max(last.decoded - first.decoded, 0) / seconds,
            computed=(after.computed - before.computed) / seconds,
            reused=(after.reused - before.reused) / seconds,
            dropped=(after.dropped - before.dropped) / seconds,
        )

    def means(self) -> Means:
        """Of the frames' figures."""
        if not self._frames:
            return Means()
        sent = [frame.sent_bytes for frame in self._frames if frame.sent_bytes]
        return Means(
            density=float(np.mean([frame.density for frame in self._frames])),
            share=float(np.mean([frame.share for frame in self._frames])),
            bytes_per_frame=float(np.mean(sent)) if sent else None,
        )

    def load(self) -> float:
        """The share of the time that the engine computed for this stream."""
        if len(self._frames) < 2:
            return 0.0
        seconds = max(self._frames[-1].at - self._frames[0].at, 1e-9)
        return min(sum(frame.engine_seconds for frame in self._frames) / seconds, 1.0)

    def ages(self) -> dict[str, float]:
        """Quantiles of the ages of results, in seconds."""
        if not self._frames:
            return {}
        ages = [frame.age_seconds for frame in self._frames]
        values = np.quantile(ages, (0.5, 0.95, 0.99)).tolist()
        return dict(zip(("p50", "p95", "p99"), values, strict=True))

    def limits(self) -> dict[Limit, float]:
        """The share of its time that a stream spends on each of what may limit it."""
        if len(self._marks) < 2:
            return {}
        before, after = self._marks[0].seconds, self._marks[-1].seconds
        spent = {name: max(after.get(name, 0.0) - before.get(name, 0.0), 0.0) for name in _LIMITS}
        total = sum(spent.values())
        return (
            {name: seconds / total for name, seconds in spent.items() if seconds} if total else {}
        )
