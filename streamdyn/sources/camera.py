"""Cameras that come back: a live source that is connected anew whenever it is lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from random import Random
from time import monotonic, time

from streamdyn.backoff import Backoff
from streamdyn.errors import Cause, SourceError
from streamdyn.sources.base import Source
from streamdyn.sources.camera_events import CameraEvent, CameraReport, CameraState
from streamdyn.sources.report import SourceInfo, SourceReport
from streamdyn.sources.resume import Resume
from streamdyn.sources.single import SingleSource
from streamdyn.sources.stopping import Stop
from streamdyn.types import Frame

_HOPELESS: tuple[Cause, ...] = ("authentication", "not found", "codec", "protocol")


def reconnecting(
    source: Source,
    backoff: Backoff | None = None,
    *,
    on_event: Callable[[CameraEvent], None] | None = None,
    seed: int | None = None,
) -> Camera:
    """Make a live source one that is never given up: see `Camera`.

    Args:
        on_event: told of each change of state, from the thread that reads the camera.
        seed: of the chance in the waits; by default different each time.

    Raises:
        SourceError: the source has several streams.
    """
    if not isinstance(source, SingleSource):
        raise SourceError(f"{source.url} is not a single stream; reconnect each of its streams")
    return Camera(source, backoff or Backoff(), on_event, Random(seed))


class Camera(Source):
    """A live source that is connected anew, with a new decoder, whenever it is lost.

    It ends only with `duration` or `max_frames`, when it is stopped, or when it turns out to be a
    recording, which runs like a camera once. The index of the frames goes on, and so does their
    time, by the real time of each gap.
    """

    def __init__(
        self,
        source: SingleSource,
        backoff: Backoff,
        on_event: Callable[[CameraEvent], None] | None,
        chance: Random,
    ) -> None:
        self.name, self.url = source.name, source.url
        self._source = source
        self._backoff = backoff
        self._on_event = on_event
        self._chance = chance
        self._place = source.place
        self._stop = Stop()
        self._report = CameraReport()  # of the connections that are over
        self._connections: list[SingleSource] = []  # that are read, the newest last

    @property
    def live(self) -> bool:
        return True

    @property
    def live_reason(self) -> str:
        return "a camera that is connected anew when it is lost"

    @property
    def streams(self) -> tuple[Source, ...]:
        return (self,)

    @property
    def report(self) -> CameraReport:
        total = replace(self._report, damage=[*self._report.damage])
        for connection in self._connections:
            total.add(_counts(connection))
        return total

    @property
    def stuck(self) -> bool:
        return any(connection.stuck for connection in self._connections)

    @property
    def ended(self) -> bool:
        return all(connection.ended for connection in self._connections)

    def stop(self) -> None:
        self._stop.set()

    def resumed(self, place: Resume) -> Camera:
        other = Camera(self._source, self._backoff, self._on_event, self._chance)
        other.name, other._place = self.name, place
        return other

    def info(self) -> SourceInfo:
        return replace(self._source.info(), name=self.name, live=True, live_reason=self.live_reason)

    def __iter__(self) -> Generator[Frame]:
        self._report, self._connections = CameraReport(), []
        return self._limited()

    def _limited(self) -> Generator[Frame]:
        """The frames within `duration` and `max_frames`, which count over all connections."""
        selection, span = self._source.selection, _Span(self._source.selection.duration)
        try:
            with closing(self._frames(span)) as frames:
                for frame in islice(frames, selection.max_frames):
                    if not span.holds(frame):
                        break
                    self._report.emitted += 1
                    yield frame
        finally:
            self._tell(CameraEvent(time(), "ended"))

    def _frames(self, span: _Span) -> Generator[Frame]:
        place, attempt = self._place, 0
        while not self._stop.is_set and span.left_seconds > 0:
            self._tell(CameraEvent(time(), "connecting", attempt))
            connection = self._connect(place)
            before = place
            try:
                with closing(iter(connection)) as frames:
                    for frame in frames:
                        if place is before:
                            self._source.nature = connection.nature  # need not be found out again
                            self._runs(frame, before, attempt)
                            attempt = 0
                        place = Resume(frame.index, frame.pts_seconds, frame.captured_at)
                        yield frame
                if self._stop.is_set or not self._source.nature_now().live:
                    return
                lost = SourceError(f"{self.url} was lost: it closed the connection", "lost")
            except SourceError as error:
                lost = error
            if place is not None:  # the frames that were dropped since have had their numbers
                place = replace(place, index=_next_index(before) + connection.report.decoded - 1)
            attempt += 1
            self._wait(lost, attempt, span.left_seconds)

    def _connect(self, place: Resume | None) -> SingleSource:
        """A new connection; what the old ones counted is kept once nothing reads them any more."""
        for connection in [other for other in self._connections if other.ended]:
            self._connections.remove(connection)
            self._report.add(_counts(connection))
        connection = self._source.connection(self.name, place, self._stop)
        self._connections.append(connection)
        return connection

    def _runs(self, frame: Frame, before: Resume | None, attempt: int) -> None:
        """Tell that frames come, and what it took after a loss."""
        if before is None or before is self._place:
            self._tell(CameraEvent(time(), "running", attempt))
            return
        self._report.reconnects += 1
        self._report.gap_seconds += _seconds_between(before, frame)
        to_recover = frame.index - _next_index(before)
        self._report.frames_to_recover = to_recover
        self._tell(CameraEvent(time(), "running", attempt, frames_to_recover=to_recover))

    def _wait(self, lost: SourceError, attempt: int, most_seconds: float) -> None:
        hopeless = lost.cause in _HOPELESS
        seconds = self._backoff.seconds(None if hopeless else attempt, self._chance)
        seconds = min(seconds, max(most_seconds, 0.0))
        state: CameraState = "failed" if hopeless else "reconnecting"
        self._tell(CameraEvent(time(), state, attempt, lost.cause, str(lost), seconds))
        self._stop.wait(seconds)

    def _tell(self, event: CameraEvent) -> None:
        self._report.event = event
        if self._on_event is not None:
            self._on_event(event)


class _Span:
    """How long a camera runs: by the time of its frames, and where none come by real time."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._end_seconds = self._deadline = math.inf

    @property
    def left_seconds(self) -> float:
        return self._deadline - monotonic()

    def holds(self, frame: Frame) -> bool:
        """Whether a frame is within; the first begins it."""
        if self._end_seconds == math.inf:
            self._end_seconds = frame.pts_seconds + self._seconds
            self._deadline = monotonic() + self._seconds
        return frame.pts_seconds < self._end_seconds


def _counts(connection: SingleSource) -> SourceReport:
    """What a connection counted; what it emitted may be more than came within the duration."""
    return replace(connection.report, emitted=0)


def _next_index(place: Resume | None) -> int:
    return 0 if place is None else place.index + 1


def _seconds_between(place: Resume, frame: Frame) -> float:
    if place.captured_at is None or frame.captured_at is None:
        return 0.0
    return max(frame.captured_at - place.captured_at, 0.0)
