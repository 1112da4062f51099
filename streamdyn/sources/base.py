"""What a source is. Each kind of source is a subclass in a module of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from streamdyn.errors import SourceError, redact
from streamdyn.sources.live import newest, paced
from streamdyn.sources.naming import safe_name
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.selection import Picture, Selection
from streamdyn.types import Frame


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

    def __post_init__(self) -> None:
        for name in ("fps", "threads", "timeout_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SourceError(f"{name} must be more than 0, got {value}")


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


class SingleSource(Source):
    """A source of one stream. A new kind of source says its nature, and makes pictures.

    A file is lossless: the decoder waits for the consumer. A live source does not wait: the
    consumer gets the newest frame, and those that it was too slow for are counted in the report.
    """

    def __init__(self, url: str, default_name: str, options: Options) -> None:
        self.url = redact(url)
        self.name = safe_name(options.name or default_name)
        self._options = options
        self._report = SourceReport()

    @cached_property
    @abstractmethod
    def nature(self) -> Nature:
        """Whether the source is live by itself. Finding out may open it."""

    @abstractmethod
    def _pictures(self, report: SourceReport) -> Generator[Picture]:
        """Yield the pictures from `start` on, their times strictly increasing."""

    @property
    def live(self) -> bool:
        return self.nature.live if self._options.live is None else self._options.live

    @property
    def live_reason(self) -> str:
        if self._options.live is None:
            return self.nature.why
        return "forced to be live" if self._options.live else "forced to be read like a file"

    @property
    def streams(self) -> tuple[Source, ...]:
        return (self,)

    @property
    def report(self) -> SourceReport:
        return self._report

    def __iter__(self) -> Generator[Frame]:
        self._report = SourceReport()
        return self._frames(self._report)

    def _frames(self, report: SourceReport) -> Generator[Frame]:
        selection = self._options.selection
        frames = selection.choose(self._pictures(report), report, self.name)
        if self.live:
            if not self.nature.live or self.nature.in_bursts:
                frames = paced(frames)
            frames = newest(frames, report, self._options.timeout_seconds, self.url)
        with closing(frames):
            for frame in islice(frames, selection.max_frames):
                report.emitted += 1
                yield frame
        if not report.decoded:
            raise self._no_frame()

    def _no_frame(self) -> SourceError:
        start = self._options.selection.start
        if start:
            return SourceError(
                f"{self.url} has no frame {start:g} s after its beginning or later; start earlier"
            )
        return SourceError(f"{self.url} has no frame that can be decoded; check that it is whole")
