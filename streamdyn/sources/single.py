"""A source of one stream: what all kinds of it share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator
from contextlib import closing
from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Self

from streamdyn.errors import SourceError, redact
from streamdyn.sources.base import Nature, Options, Source
from streamdyn.sources.live import Reader, paced
from streamdyn.sources.naming import safe_name
from streamdyn.sources.report import SourceReport
from streamdyn.sources.resume import Resume, continued
from streamdyn.sources.selection import Picture, Selection
from streamdyn.sources.stopping import Stop
from streamdyn.types import Frame


class SingleSource(Source):
    """A source of one stream. A new kind of source says its nature, and makes pictures.

    A file is lossless: the decoder waits for the consumer. A live source does not wait: the
    consumer gets the newest frame, and those that it was too slow for are counted in the report.
    """

    def __init__(self, url: str, default_name: str, options: Options) -> None:
        self.url = redact(url)
        self.name = safe_name(options.name or default_name)
        self._options = options
        self._place: Resume | None = None
        self._report = SourceReport()
        self._readers: list[Reader] = []
        self._stop = Stop()

    @cached_property
    @abstractmethod
    def nature(self) -> Nature:
        """Whether the source is live by itself. Finding out may open it."""

    def nature_now(self) -> Nature:
        """Its nature, found out anew: what was live may have become a recording."""
        other = copy(self)
        vars(other).pop("nature", None)
        return other.nature

    @abstractmethod
    def _pictures(self, report: SourceReport) -> Generator[Picture]:
        """Yield the pictures from `start` on, their times strictly increasing.

        Those up to `_passed` may be UNDECODED.
        """

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
    def selection(self) -> Selection:
        return self._options.selection

    @property
    def place(self) -> Resume | None:
        """Where it was resumed."""
        return self._place

    @property
    def report(self) -> SourceReport:
        return self._report

    @property
    def stuck(self) -> bool:
        return any(reader.stuck for reader in self._readers)

    @property
    def ended(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers)

    def stop(self) -> None:
        self._stop.set()

    def resumed(self, place: Resume) -> Self:
        return self._copy(self._options, place, Stop())

    def connection(self, name: str, place: Resume | None, stop: Stop) -> Self:
        """This source as live and without an end of its own, for whoever connects it anew."""
        start = self.selection.start if place is None else 0.0
        endless = replace(self.selection, start=start, duration=None, max_frames=None)
        other = self._copy(replace(self._options, live=True, selection=endless), place, stop)
        other.name = name
        return other

    def _copy(self, options: Options, place: Resume | None, stop: Stop) -> Self:
        other = copy(self)
        other._options, other._place, other._stop = options, place, stop
        other._report, other._readers = SourceReport(), []
        return other

    def __iter__(self) -> Generator[Frame]:
        self._report = SourceReport()
        return self._frames(self._report)

    def _frames(self, report: SourceReport) -> Generator[Frame]:
        if self._stop.is_set:
            return
        done = -1 if self._place is None else self._place.index
        frames = self._live(report, done) if self.live else self._lossless(report, done)
        with closing(frames):
            for frame in islice(frames, self._options.selection.max_frames):
                if frame.index > done:
                    report.emitted += 1
                    yield frame
                if self._stop.is_set:
                    return
        if self._place is None and not report.decoded and not self._stop.is_set:
            raise self._no_frame()

    def _lossless(self, report: SourceReport, done: int) -> Generator[Frame]:
        """The chosen frames, also those that were dealt with; these may have no pixels."""
        pictures = self._pictures(report)
        return self._options.selection.choose(pictures, report, self.name, count_from=done + 1)

    def _live(self, report: SourceReport, done: int) -> Generator[Frame]:
        """The newest of the chosen frames, numbered on from what was dealt with."""
        pictures, first_index = self._as_live(report), done + 1
        selection = self._options.selection
        if self._place is not None:
            pictures = continued(pictures, self._place)
        frames = selection.choose(
            pictures, report, self.name, first_index=first_index, count_from=first_index
        )
        timeout_seconds = self._options.timeout_seconds
        reader = Reader(frames, report, timeout_seconds, self._stop)
        self._readers = [*(other for other in self._readers if other.is_alive()), reader]
        return reader.newest(self.url, selection.start)

    def _as_live(self, report: SourceReport) -> Generator[Picture]:
        # Asked for here, in the reader's thread: to find out may open the source.
        if not self.nature.live or self.nature.in_bursts:
            yield from paced(self._pictures(report))
        else:
            yield from self._pictures(report)

    @property
    def _passed(self) -> Resume | None:
        """The place up to which pictures are only counted, and need no pixels."""
        return None if self.live else self._place

    def _no_frame(self) -> SourceError:
        start = self._options.selection.start
        if start:
            return SourceError(
                f"{self.url} has no frame {start:g} s after its beginning or later; start earlier"
            )
        return SourceError(f"{self.url} has no frame that can be decoded; check that it is whole")
