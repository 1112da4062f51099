"""What a source is. Each kind of source is a subclass in a module of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from streamdyn.errors import SourceError
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.resume import Resume
from streamdyn.sources.selection import Selection
from streamdyn.types import Frame

Transport = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True)
class Options:
    """What `open_source` was told beside the source; see there."""

    live: bool | None = None
    selection: Selection = field(default_factory=Selection)
    fps: float | None = None
    threads: int | None = None
    motion: bool = False
    name: str | None = None
    timeout_seconds: float = 10.0
    key_frames: bool = False
    transport: Transport | None = None

    def __post_init__(self) -> None:
        for name in ("fps", "threads", "timeout_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SourceError(f"{name} must be more than 0, got {value}")
        if self.transport not in (None, *get_args(Transport)):
            raise SourceError(f"transport must be tcp or udp, got {self.transport!r}")


class Nature(NamedTuple):
    """Whether a source is live by itself, and how that is known."""

    live: bool
    why: str
    in_bursts: bool = False  # live, but many frames come at once, to be shown one by one


class Source(ABC):
    """One or more streams of frames. Each iteration opens the source anew, and closes it."""

    name: str  # of the stream, fit to name a folder
    url: str  # for people: without credentials

    @property
    @abstractmethod
    def live(self) -> bool:
        """Whether the source runs on by itself, so that frames are dropped rather than kept.

        Finding out may open it.
        """

    @property
    @abstractmethod
    def live_reason(self) -> str:
        """Why the source is taken as live or not."""

    @property
    @abstractmethod
    def streams(self) -> tuple[Source, ...]:
        """The single streams of this source. Their names differ."""

    @property
    @abstractmethod
    def report(self) -> SourceReport:
        """What became of the frames of the iteration that was begun last."""

    @property
    @abstractmethod
    def stuck(self) -> bool:
        """Whether a reader of a live source hangs where nothing but the end of its process ends it.

        It does not hold up who reads the source, but keeps memory and a connection.
        """

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether no thread reads it, or not any more."""

    @abstractmethod
    def stop(self) -> None:
        """End an iteration at once, also one that waits, and let none begin; from any thread."""

    @abstractmethod
    def resumed(self, place: Resume) -> Source:
        """This source, as it goes on after `place`; its report begins there.

        Raises:
            SourceError: it has several streams, each of which is taken up by itself.
        """

    @abstractmethod
    def info(self) -> SourceInfo:
        """Open the source, read its first frame, and say what it is.

        Raises:
            SourceError: it cannot be opened, or has no frame that can be decoded.
        """

    @abstractmethod
    def __iter__(self) -> Generator[Frame]:
        """Yield the chosen frames; of several streams, one after another.

        Raises:
            SourceError: the source cannot be opened, has no frame at all, or was lost.
        """
