"""Who is told how a run goes on."""

from __future__ import annotations

from typing import Protocol

from streamdyn.sources import CameraEvent, Source
from streamdyn.status import Event, StreamState
from streamdyn.summary import StreamSummary
from streamdyn.types import Prediction


class Watcher(Protocol):
    """Whoever shows the progress of a run. Called from the threads of the streams."""

    def start(self, source: Source) -> None: ...
    def update(self, prediction: Prediction) -> None: ...
    def finish(self, summary: StreamSummary) -> None: ...


class Unwatched:
    """Shows nothing."""

    def start(self, source: Source) -> None: ...
    def update(self, prediction: Prediction) -> None: ...
    def finish(self, summary: StreamSummary) -> None: ...


def event_of(camera: CameraEvent) -> Event:
    """What happened to a camera, for its status. One that seems hopeless is tried on as well."""
    state: StreamState = "reconnecting" if camera.state == "failed" else camera.state
    return Event(camera.at, state, camera.cause, camera.message, camera.frames_to_recover)
