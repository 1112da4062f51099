"""What every benchmark shares: fair timing, and figures with what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter, sleep


@dataclass(frozen=True, slots=True)
class Asked:
    """What a figure has to reach."""

    bound: float
    at_most: bool = False  # or at least
    goal: float | None = None  # what would be better still

    def met(self, value: float) -> bool:
        """Whether a figure reaches the bound."""
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        goal = "" if self.goal is None else f" (goal {self.goal:g})"
        return f"{'<=' if self.at_most else '>='} {self.bound:.4g}{goal}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure: the median of its samples."""

    bench: str
    case: str
    metric: str
    value: float
    unit: str
    samples: tuple[float, ...]
    asked: Asked | None = None
    about: Mapping[str, str | float] = field(default_factory=dict)  # what it holds for

    @classmethod
    def of(
        cls,
        bench: str,
        case: str,
        metric: str,
        unit: str,
        samples: Sequence[float],
        *,
        asked: Asked | None = None,
        about: Mapping[str, str | float] | None = None,
    ) -> Measurement:
        return cls(
            bench, case, metric, median(samples), unit, tuple(samples), asked, dict(about or {})
        )


def interleave(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    warmup: int = 1,
    *,
    turn_seconds: float = 0.0,
    pause_seconds: float = 0.0,
) -> dict[str, list[float]]:
    """Time each contender `rounds` times, taking turns: seconds per call, by name.

    A machine that slows down for a while slows all of them, so ratios within a round hold. The
    first turns of each are not counted.

    Args:
        turn_seconds: how long a turn lasts at least; a contender that is done earlier is called
            again, and the turn counts as the mean of its calls.
        pause_seconds: before each turn, so that threads of the contender before, which wait a
            while for more work, do not take the processor from this one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warmup + rounds):
        for name, call in contenders.items():
            sleep(pause_seconds)
            each = _time(call, turn_seconds)
            if turn >= warmup:
                seconds[name].append(each)
    return seconds


def _time(call: Callable[[], object], least_seconds: float) -> float:
    calls, start = 0, perf_counter()
    while True:
        call()
        calls += 1
        spent = perf_counter() - start
        if spent >= least_seconds:
            return spent / calls
