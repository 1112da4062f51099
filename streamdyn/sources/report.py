"""What a source tells of itself: before (`SourceInfo`) and while it runs (`SourceReport`)."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

KEPT_DAMAGE = 1000  # damaged ranges: a camera may run for months


@dataclass(frozen=True, slots=True, order=True)
class DamagedRange:
    """A stretch of a stream that could not be decoded."""

    start_seconds: float
    end_seconds: float
    what: str


@dataclass(slots=True)
class SourceReport:
    """What became of the frames of one pass over a source.

    A frame that was decoded is emitted, dropped, waiting, or left out by `stride` or `max_fps`.
    """

    decoded: int = 0  # at or after `start`; with `key_frames`, the others are but counted
    emitted: int = 0  # handed to the consumer
    dropped: int = 0  # live only: a newer frame took its place before the consumer came for it
    waiting: int = 0  # live only: for the consumer, or for a newer frame to take its place
    corrupt: int = 0  # decoded, but the decoder says that parts are wrong
    damage: list[DamagedRange] = field(default_factory=list)  # the newest `KEPT_DAMAGE`
    damage_forgotten: int = 0  # ranges before these

    def add(self, other: SourceReport) -> None:
        """Count what became of the frames of another pass as well; times are as they were there."""
        self.decoded += other.decoded
        self.emitted += other.emitted
        self.dropped += other.dropped
        self.waiting += other.waiting
        self.corrupt += other.corrupt
        self.damage += other.damage
        self.damage_forgotten += other.damage_forgotten
        self._forget()

    def add_damage(
        self, start_seconds: float, end_seconds: float, what: str, *, gap_seconds: float = 0.0
    ) -> None:
        """Note a damaged range; it joins the last one if they are `gap_seconds` apart or less."""
        last = self.damage[-1] if self.damage else None
        if (
            last
            and last.what == what
            and start_seconds - last.end_seconds <= gap_seconds
            and last.start_seconds - end_seconds <= gap_seconds
        ):
            start_seconds = min(last.start_seconds, start_seconds)
            end_seconds = max(last.end_seconds, end_seconds)
            self.damage.pop()
        insort(self.damage, DamagedRange(start_seconds, end_seconds, what))
        self._forget()

    def _forget(self) -> None:
        """Drop the oldest of too many damaged ranges, and count them."""
        many = max(len(self.damage) - KEPT_DAMAGE, 0)
        del self.damage[:many]
        self.damage_forgotten += many


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source is, as far as its first frame and its header tell.

    `claimed` values stand in the header or are guesses. They may be wrong, and nothing relies on
    them.
    """

    name: str
    url: str  # without credentials
    kind: str  # "mov,mp4", "rtsp", "images", "webcam", "synthetic", ...
    live: bool
    live_reason: str  # why it was taken as live or not
    size: tuple[int, int]  # (height, width) of the first frame, upright
    codec: str = ""
    pixel_format: str = ""
    claimed_fps: float | None = None
    claimed_seconds: float | None = None
    claimed_frames: int | None = None
