"""The figures of one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

from streamdyn.summary.agreement import CONFIDENCE, MeanAgreement
from streamdyn.summary.histogram import Histogram
from streamdyn.types import Prediction

STAGES = ("decode", "policy", "model", "audits", "sinks")
TARGET_MARGIN = 0.02  # of agreement, by which a target that counts as reached may be missed


class DamagedRange(Protocol):
    """A stretch of a stream that could not be decoded."""

    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...
    @property
    def what(self) -> str: ...


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
        self.dropped = 0  # frames of a live source that nobody had time for
        self.corrupt = 0  # frames that were decoded with errors
        self.damage: Sequence[DamagedRange] = ()
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
            "quality": self._quality(),
            "deliveries": list(self.deliveries),
            "faults": {"count": self.faults, "first": self.first_faults},
            "damage": [
                {"start_seconds": d.start_seconds, "end_seconds": d.end_seconds, "what": d.what}
                for d in self.damage
            ],
            "error": self.error,
        }

    def _quality(self) -> dict[str, Any] | None:
        """What audits found, and their cost; None where there were to be none."""
        if self.target is None and not self.agreement.audits:
            return None
        return {
            "target": self.target,
            "reached": self._reached(),
            "agreement": self.agreement.value,
            "interval": self.agreement.interval(),
            "confidence": CONFIDENCE,
            "audits": self.agreement.audits,
            "audit_share": self.audit_share,
            "audit_seconds": self.seconds["audits"],
        }

    def _reached(self) -> bool | None:
        """Whether the target was; None where there is none, or too little was audited to tell."""
        interval = self.agreement.interval()
        if self.target is None or interval is None:
            return None
        low, high = interval
        if low < self.target - TARGET_MARGIN:
            return False if high < self.target else None
        return True

    def _quality_note(self) -> str:
        interval = self.agreement.interval()
        if interval is None:
            target = "" if self.target is None else f", target {self.target:g}"
            return f"agreement not known, too few frames for an audit{target}"
        low, high = interval
        return (
            f"agreement {self.agreement.value:.3f} ({CONFIDENCE:.0%} sure: {low:.3f} to {high:.3f})"
            f"{self._target_note()}; {self.agreement.audits} audits: {self.audit_share:.1%} of "
            f"dense, {self.time_share['audits'] or 0:.0%} of the time"
        )

    def _target_note(self) -> str:
        if self.target is None:
            return ""
        words = {True: "reached", False: "missed", None: "too few audits to tell if reached"}
        return f", target {self.target:g}: {words[self._reached()]}"

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
        for delivery in self.deliveries:
            if any(delivery[name] for name in ("waiting", "dropped", "refused")):
                notes.append(
                    "{receiver} has taken {sent} results; {waiting} wait, {refused} were refused, "
                    "{dropped} dropped".format_map(delivery)
                )
        if self.target is not None or self.agreement.audits:
            notes.append(self._quality_note())
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
