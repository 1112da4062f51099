"""What streams, engines and the supervisor send each other. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from streamdyn.blocks import BlockMask
from streamdyn.models.cut import Pieces
from streamdyn.quality import Quality
from streamdyn.sources import DamagedRange, Source
from streamdyn.sources.resume import Resume
from streamdyn.specs import ModelSpec
from streamdyn.status import Event, Limit
from streamdyn.types import Frame, Prediction, Result


class EngineLostError(Exception):
    """What an engine kept of a stream is gone: its next picture is computed whole, or it is taken
    up again from where that happened before."""


@dataclass(frozen=True, slots=True)
class Job:
    """A picture of a stream, for the engine that holds its cache."""

    pieces: Pieces
    mask: BlockMask
    audit: bool = False  # compute it whole, beside the stream: its cache stays as it is
    logits: bool = False  # whether a segmentation is wanted with its logits


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine says of a picture."""

    result: Result
    share: float  # of the model's multiply-accumulates that the mask cost
    seconds: float  # of the engine, this picture's part of those of all computed with it
    held_seconds: float  # from when it came to the engine until it was done


@dataclass(frozen=True, slots=True)
class Work:
    """A stream, for the process that decodes it and decides what to compute."""

    name: str
    source: Source
    policy: str
    model: ModelSpec
    quality: Quality | None = None
    policy_timeout_seconds: float = 1.0
    wants_frames: bool = False  # whether some sink reads the pictures
    reconnects: bool = True  # whether a live source is connected anew when it is lost
    restart_after: float | None = 32.0
    """Of a recording: whole pictures' worth of computation after which one is computed whole, so
    that no more than this has to be done again after a failure. None: never."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A frame that came to its end."""

    index: int
    pts_seconds: float
    prediction: Prediction | None  # None: what should have computed it broke
    frame: Frame | None = None
    size: tuple[int, int] = (0, 0)  # (height, width) of the frame
    captured_at: float | None = None  # of a live stream, as time.time()
    age_seconds: float = 0.0  # from when the frame was there until its result was
    sent_bytes: int = 0  # to the engine


@dataclass(slots=True)
class Tally:
    """What a feed counts of itself, from its start."""

    decoded: int = 0
    emitted: int = 0
    dropped: int = 0
    corrupt: int = 0
    damage: tuple[DamagedRange, ...] = ()  # the newest
    damage_forgotten: int = 0  # ranges before these
    reconnects: int = 0
    gap_seconds: float = 0.0
    frames_to_recover: int | None = None  # of the last reconnect
    seconds: dict[Limit, float] = field(default_factory=dict)  # by what the time went to

    def copy(self) -> Tally:
        """As it is now."""
        return replace(self, seconds=dict(self.seconds))

    def __add__(self, other: Tally) -> Tally:
        names = self.seconds.keys() | other.seconds.keys()
        return Tally(
            decoded=self.decoded + other.decoded,
            emitted=self.emitted + other.emitted,
            dropped=self.dropped + other.dropped,
            corrupt=self.corrupt + other.corrupt,
            damage=(*self.damage, *other.damage),
            damage_forgotten=self.damage_forgotten + other.damage_forgotten,
            reconnects=self.reconnects + other.reconnects,
            gap_seconds=self.gap_seconds + other.gap_seconds,
            frames_to_recover=(
                self.frames_to_recover
                if other.frames_to_recover is None
                else other.frames_to_recover
            ),
            seconds={
                name: self.seconds.get(name, 0.0) + other.seconds.get(name, 0.0) for name in names
            },
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a recording can be taken up again: at a picture that is computed whole, so that
    nothing depends on what an engine kept of those before it."""

    after: Resume  # the frame before the picture
    stream: bytes  # the `Stream`, pickled when it had decided about this picture
    tally: Tally = field(default_factory=Tally)  # without the picture


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a process tells of itself."""

    pid: int
    node: str
    memory_bytes: int
    busy_seconds: float = 0.0  # since its start
    call_seconds: float = 0.0  # for how long the call that runs has been running
    open_seconds: float = 0.0  # the same, of the oldest loading of a model or opening of a stream
    streams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a feed tells the supervisor, a few times a second."""

    outcomes: tuple[Outcome, ...]
    tally: Tally
    events: tuple[Event, ...] = ()
    checkpoint: Checkpoint | None = None  # a newer one than before
    ended: bool = False  # there will be no more
    error: str | None = None  # why, if not because the stream is over
    doing: str = ""  # what it is at, "reading" say
    doing_seconds: float = 0.0  # and for how long
    live: bool = False
    queue: int = 0  # frames that came, and are not among the outcomes of this or an older report
    stuck: bool = False  # a decoder hangs in this process and cannot be ended but with it
    reusable: bool = True  # the process may run another stream when this one has ended
    vitals: Vitals | None = None
