"""What a stream cost: counts, rates and quantiles in memory that does not grow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from streamdyn.types import Prediction

if TYPE_CHECKING:
    from rich.table import Table

STAGES = ("decode", "policy", "model", "sinks")


class DamagedRange(Protocol):
    """A stretch of a stream that could not be decoded."""

    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...
    @property
    def what(self) -> str: ...


class Histogram:
    """Quantiles of positive numbers to within 1%, whatever their number.

    Each bin is 2% wider than the one before; a quantile is told as the middle of its bin.
    Values from 100 ns to 100,000 s are told apart, others count as the nearest of these.
    """

    _STEP = math.log(1.02)
    _FIRST = math.floor(math.log(1e-7) / _STEP)
    _LAST = math.ceil(math.log(1e5) / _STEP)

    def __init__(self) -> None:
        self._counts = np.zeros(self._LAST - self._FIRST + 1, np.int64)

    def add(self, value: float) -> None:
        """Count a value."""
        place = math.floor(math.log(value) / self._STEP) if value > 0 else self._FIRST
        self._counts[min(max(place, self._FIRST), self._LAST) - self._FIRST] += 1

    def merge(self, other: Histogram) -> None:
        """Count all values of another one."""
        self._counts += other._counts

    def quantile(self, fraction: float) -> float | None:
        """The smallest value that `fraction` of all are not above; None where there are none."""
        totals = self._counts.cumsum()
        if not totals[-1]:
            return None
        place = int(np.searchsorted(totals, max(fraction * totals[-1], 1)))
        return math.exp((place + self._FIRST + 0.5) * self._STEP)


class StreamSummary:
    """The figures of one stream, fed prediction by prediction."""

    FAULTS = 5  # whose texts are kept

    def __init__(self, stream: str, clock: Callable[[], float] = perf_counter) -> None:
        self.stream = stream
        self.computed = 0
        self.reused = 0
        self.faults = 0
        self.first_faults: list[str] = []
        # What only the source, or whoever runs the stream, can tell; they set it.
        self.decoded = 0  # frames, those included that were not asked for
        self.dropped = 0  # frames of a live source that nobody had time for
        self.corrupt = 0  # frames that were decoded with errors
        self.damage: Sequence[DamagedRange] = ()
        self.error: str | None = None  # what ended the stream before its end
        self.latency = Histogram()  # seconds
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._density = 0.0  # summed over frames, as is the share
        self._share = 0.0
        self._clock = clock
        self._began = self._ended = clock()

    def add(self, prediction: Prediction, sink_seconds: float) -> None:
        """Count a prediction, and the seconds that its sinks took."""
        if prediction.status == "computed":
            self.computed += 1
        else:
            self.reused += 1
        if prediction.fault is not None:
            self.faults += 1
            if len(self.first_faults) < self.FAULTS:
                self.first_faults.append(f"frame {prediction.index}: {prediction.fault}")
        self._density += prediction.density
        self._share += prediction.share
        self.latency.add(prediction.latency_seconds)
        spent = prediction.seconds
        stages = (spent.decode, spent.policy, spent.model + spent.setup, sink_seconds)
        for stage, seconds in zip(STAGES, stages, strict=True):
            self.seconds[stage] += seconds
        self._ended = self._clock()

    def end(self, sink_seconds: float) -> None:
        """Count the seconds that the sinks took to close."""
        self.seconds["sinks"] += sink_seconds
        self._ended = self._clock()

    def merge(self, other: StreamSummary) -> None:
        """Count all that another one has counted: of a stream that ran beside, or after."""
        self.computed += other.computed
        self.reused += other.reused
        self.faults += other.faults
        self.first_faults = (self.first_faults + other.first_faults)[: self.FAULTS]
        self.decoded += other.decoded
        self.dropped += other.dropped
        self.corrupt += other.corrupt
        self.damage = [*self.damage, *other.damage]
        self.latency.merge(other.latency)
        for stage in STAGES:
            self.seconds[stage] += other.seconds[stage]
        self._density += other._density
        self._share += other._share
        self._began = min(self._began, other._began)
        self._ended = max(self._ended, other._ended)

    @property
    def frames(self) -> int:
        """Frames that got a prediction."""
        return self.computed + self.reused

    @property
    def wall_seconds(self) -> float:
        """From the start until the sinks were closed, or to the last prediction so far."""
        return self._ended - self._began

    @property
    def fps(self) -> float | None:
        """Frames per second of wall time."""
        return self.frames / self.wall_seconds if self.wall_seconds else None

    @property
    def mean_density(self) -> float | None:
        """Fraction of blocks computed, over all frames."""
        return self._density / self.frames if self.frames else None

    @property
    def mean_share(self) -> float | None:
        """Fraction of multiply-accumulates computed, over all frames."""
        return self._share / self.frames if self.frames else None

    @property
    def time_share(self) -> dict[str, float | None]:
        """The fraction of the time of all stages that each took."""
        total = sum(self.seconds.values())
        return {stage: spent / total if total else None for stage, spent in self.seconds.items()}

    def to_dict(self) -> dict[str, Any]:
        """All figures, as JSON has them; None is what there are no frames for."""
        return {
            "stream": self.stream,
            "decoded": self.decoded,
            "frames": self.frames,
            "computed": self.computed,
            "reused": self.reused,
            "dropped": self.dropped,
            "corrupt": self.corrupt,
            "wall_seconds": self.wall_seconds,
            "fps": self.fps,
            "mean_density": self.mean_density,
            "mean_share": self.mean_share,
            "latency_seconds": {f"p{p}": self.latency.quantile(p / 100) for p in (50, 95, 99)},
            "seconds": dict(self.seconds),
            "time_share": self.time_share,
            "faults": {"count": self.faults, "first": self.first_faults},
            "damage": [
                {"start_seconds": d.start_seconds, "end_seconds": d.end_seconds, "what": d.what}
                for d in self.damage
            ],
            "error": self.error,
        }

    def notes(self) -> list[str]:
        """What the user should know beside the figures, a line each."""
        notes = [
            f"damaged from {d.start_seconds:.2f} s to {d.end_seconds:.2f} s: {d.what}"
            for d in self.damage
        ]
        if self.corrupt:
            notes.append(f"{self.corrupt} frames corrupt: parts of them could not be decoded")
        if self.dropped:
            notes.append(f"{self.dropped} frames dropped: they came faster than they were computed")
        if self.faults:
            notes.append(f"{self.faults} faults of the policy, each frame computed whole:")
            notes += [f"  {fault}" for fault in self.first_faults]
        if self.error is not None:
            notes.append(f"failed: {self.error}")
        return [f"{self.stream}: {note}" for note in notes]


def total(summaries: Sequence[StreamSummary]) -> StreamSummary:
    """The figures of streams, at least one, together."""
    ended = summaries[0]._ended
    whole = StreamSummary("all streams", clock=lambda: ended)
    for summary in summaries:
        whole.merge(summary)
    return whole


def table(summaries: Sequence[StreamSummary]) -> Table:
    """The figures of streams, at least one, to print with rich: a row each, and their total."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    notes = "\n".join(note for summary in summaries for note in summary.notes())
    figures = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        caption=Text(notes) if notes else None,
        caption_justify="left",
        caption_style="",
    )
    figures.add_column("stream", overflow="fold", min_width=11)
    titles = ("decoded", "computed", "reused", "fps", "density", "latency in ms\np50/p95/p99")
    for title in (*titles, "% of time in\ndecode/policy/\nmodel/sinks"):
        figures.add_column(title, justify="right", no_wrap=True)
    for summary in summaries:
        figures.add_row(Text(summary.stream), *_cells(summary))
    if len(summaries) > 1:
        figures.add_section()
        figures.add_row("all streams", *_cells(total(summaries)))
    return figures


def _cells(summary: StreamSummary) -> list[str]:
    quantiles = (summary.latency.quantile(fraction) for fraction in (0.5, 0.95, 0.99))
    shares = summary.time_share.values()
    return [
        str(summary.decoded),
        str(summary.computed),
        str(summary.reused),
        _said(summary.fps, ".1f"),
        _said(summary.mean_density, ".1%"),
        "/".join(_said(value, ".2f" if (value or 0) < 1e-3 else ".1f", 1e3) for value in quantiles),
        "/".join(_said(share, ".0f", 100) for share in shares),
    ]


def _said(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else format(value * scale, form)
