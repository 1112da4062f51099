"""The figures of one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

from streamdyn.summary import quality
from streamdyn.summary.agreement import MeanAgreement
from streamdyn.summary.counts import Counts, DamagedRange, Reconnected
from streamdyn.summary.histogram import Histogram
from streamdyn.summary.journey import Journey
from streamdyn.types import Prediction

STAGES = ("decode", "policy", "model", "audits", "sinks")


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
        self.source: str | None = None  # what opens it again, without credentials
        self.decoded = 0  # frames, those included that were not asked for
        self.captured = 0  # frames that were asked for, as the source counts them
        self.dropped = 0  # frames of a live source that nobody had time for
        self.corrupt = 0  # frames that were decoded with errors
        self.damage: Sequence[DamagedRange] = ()
        self.damage_forgotten = 0  # ranges before these
        self.journey = Journey()
        self.error: str | None = None  # what ended the stream before its end
        self.deliveries: Sequence[Mapping[str, Any]] = ()  # what became of results, by receiver
        self.target: float | None = None  # mean agreement
        self.agreement = MeanAgreement()
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
        self.agreement.add(prediction)
        self._density += prediction.density
        self._share += prediction.share + (prediction.audit is not None)
        self.latency.add(prediction.latency_seconds)
        spent = prediction.seconds
        model = spent.model + spent.wait + spent.setup
        stages = (spent.decode, spent.policy, model, spent.audit, sink_seconds)
        for stage, seconds in zip(STAGES, stages, strict=True):
            self.seconds[stage] += seconds
        self._ended = self._clock()

    def end(self, sink_seconds: float) -> None:
        """Count the seconds that the sinks took to close."""
        self.seconds["sinks"] += sink_seconds
        self._ended = self._clock()

    def take_over(self, source: Counts) -> None:
        """Take over what the source says when all is done."""
        self.decoded, self.captured = source.decoded, source.emitted + source.dropped
        self.dropped, self.corrupt = source.dropped, source.corrupt
        self.damage, self.damage_forgotten = source.damage, source.damage_forgotten
        if isinstance(source, Reconnected):
            journey = self.journey
            journey.reconnects, journey.gap_seconds = source.reconnects, source.gap_seconds
            journey.frames_to_recover = source.frames_to_recover

    def merge(self, other: StreamSummary) -> None:
        """Count all that another one has counted: of a stream that ran beside, or after."""
        self.computed += other.computed
        self.reused += other.reused
        self.faults += other.faults
        self.first_faults = (self.first_faults + other.first_faults)[: self.FAULTS]
        self.decoded += other.decoded
        self.captured += other.captured
        self.dropped += other.dropped
        self.corrupt += other.corrupt
        self.damage = [*self.damage, *other.damage]
        self.damage_forgotten += other.damage_forgotten
        self.journey.merge(other.journey)
        self.agreement.merge(other.agreement)
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
        """Fraction of multiply-accumulates computed, over all frames, audits included."""
        return self._share / self.frames if self.frames else None

    @property
    def audit_share(self) -> float | None:
        """What audits cost, as a fraction of computing every frame whole."""
        return self.agreement.audits / self.frames if self.frames else None

    @property
    def time_share(self) -> dict[str, float | None]:
        """The fraction of the time of all stages that each took."""
        total = sum(self.seconds.values())
        return {stage: spent / total if total else None for stage, spent in self.seconds.items()}

    def to_dict(self) -> dict[str, Any]:
        """All figures, as JSON has them; None is what there are no frames for."""
        return {
            "stream": self.stream,
            "source": self.source,
            "decoded": self.decoded,
            "captured": self.captured,
            "frames": self.frames,
            "computed": self.computed,
            "reused": self.reused,
            "dropped": self.dropped,
            **self.journey.to_dict(),
            "corrupt": self.corrupt,
            "wall_seconds": self.wall_seconds,
            "fps": self.fps,
            "mean_density": self.mean_density,
            "mean_share": self.mean_share,
            "latency_seconds": {f"p{p}": self.latency.quantile(p / 100) for p in (50, 95, 99)},
            "seconds": dict(self.seconds),
            "time_share": self.time_share,
            "quality": quality.to_dict(
                self.agreement, self.target, self.audit_share, self.seconds["audits"]
            ),
            "deliveries": list(self.deliveries),
            "faults": {"count": self.faults, "first": self.first_faults},
            "damage": [
                {"start_seconds": d.start_seconds, "end_seconds": d.end_seconds, "what": d.what}
                for d in self.damage
            ],
            "damage_forgotten": self.damage_forgotten,
            "error": self.error,
        }

    def notes(self) -> list[str]:
        """What the user should know beside the figures, a line each."""
        notes = []
        if self.damage_forgotten:
            notes.append(f"{self.damage_forgotten} damaged ranges, and then:")
        notes += [
            f"damaged from {d.start_seconds:.2f} s to {d.end_seconds:.2f} s: {d.what}"
            for d in self.damage
        ]
        if self.corrupt:
            notes.append(f"{self.corrupt} frames corrupt: parts of them could not be decoded")
        if self.dropped:
            notes.append(f"{self.dropped} frames dropped: they came faster than they were computed")
        notes += self.journey.notes()
        for delivery in self.deliveries:
            if any(delivery[name] for name in ("waiting", "dropped", "refused")):
                notes.append(
                    "{receiver} has taken {sent} results; {waiting} wait, {refused} were refused, "
                    "{dropped} dropped".format_map(delivery)
                )
        notes += quality.note(
            self.agreement, self.target, self.audit_share, self.time_share["audits"]
        )
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
