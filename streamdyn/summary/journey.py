"""The way of a stream's frames from the camera to their results: how long it took, what broke."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streamdyn.summary.histogram import Histogram


@dataclass(slots=True)
class Journey:
    """Figures that only a stream has which is live, or is computed in another process."""

    failed: int = 0  # frames that were taken, and what should have computed them broke
    reconnects: int = 0
    gap_seconds: float = 0.0  # without a connection, or without a decoder
    frames_to_recover: int | None = None  # decoded after the last reconnect, before one was usable
    worker: str | None = None  # that computed it last
    ages: Histogram = field(default_factory=Histogram)  # seconds from the capture to the result
    sent_bytes: int = 0  # to workers
    sent_frames: int = 0  # of which something was sent

    def add(self, age_seconds: float, sent_bytes: int) -> None:
        """Count a frame that has its result."""
        self.ages.add(age_seconds)
        self.sent_bytes += sent_bytes
        self.sent_frames += sent_bytes > 0

    def merge(self, other: Journey) -> None:
        """Count all that another one has counted."""
        self.failed += other.failed
        self.reconnects += other.reconnects
        self.gap_seconds += other.gap_seconds
        self.ages.merge(other.ages)
        self.sent_bytes += other.sent_bytes
        self.sent_frames += other.sent_frames

    @property
    def bytes_per_frame(self) -> float | None:
        """Sent for each frame of which something was computed."""
        return self.sent_bytes / self.sent_frames if self.sent_frames else None

    def to_dict(self) -> dict[str, Any]:
        """All figures, as JSON has them; None is what is not known."""
        return {
            "failed": self.failed,
            "reconnects": self.reconnects,
            "gap_seconds": self.gap_seconds,
            "frames_to_recover": self.frames_to_recover,
            "worker": self.worker,
            "age_seconds": {f"p{p}": self.ages.quantile(p / 100) for p in (50, 95, 99)},
            "bytes_per_frame": self.bytes_per_frame,
        }

    def notes(self) -> list[str]:
        """What the user should know of it, a line each."""
        notes = []
        if self.failed:
            notes.append(f"{self.failed} frames failed: what should have computed them broke")
        if self.reconnects or self.gap_seconds:
            recovery = self.frames_to_recover
            last = "" if recovery is None else f"; {recovery} frames to recover after the last"
            notes.append(f"{self.reconnects} reconnects, {self.gap_seconds:.1f} s of gaps{last}")
        ages = [self.ages.quantile(fraction) for fraction in (0.5, 0.95, 0.99)]
        if None not in ages:
            told = "/".join(f"{age:.2f}" for age in ages)
            sent = f", {self.bytes_per_frame / 1e3:.3g} kB a frame" if self.bytes_per_frame else ""
            where = f" from {self.worker}" if self.worker else ""
            notes.append(f"age of results{where} p50/p95/p99 {told} s{sent}")
        return notes
