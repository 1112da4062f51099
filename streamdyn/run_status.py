"""The status of a run in one process: what its watcher is told, counted."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field, replace
from threading import Lock
from time import monotonic, time

import psutil

from streamdyn.progress import Watcher, event_of
from streamdyn.sources import CameraReport, Source
from streamdyn.status import Account, ActorStatus, Limit, RunStatus, StreamState, StreamStatus
from streamdyn.status.window import Window
from streamdyn.summary import StreamSummary
from streamdyn.types import Prediction


@dataclass(slots=True)
class _Watched:
    """What is known of one stream."""

    source: Source
    state: StreamState = "connecting"
    computed: int = 0
    reused: int = 0
    failed: int = 0
    seconds: dict[Limit, float] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    error: str | None = None

    def account(self) -> Account:
        return Account(self.computed, self.reused, self.source.report.dropped, self.failed)

    def queue(self) -> int:
        """Frames that came and are not at their end."""
        report, account = self.source.report, self.account()
        return report.waiting + report.emitted - (account.captured - account.dropped)

    def finish(self, error: str | None) -> None:
        self.state, self.error = "failed" if error else "ended", error
        # A frame that came, and has no prediction, is the one at which the stream ended.
        self.failed = self.source.report.emitted - self.computed - self.reused

    def status(self) -> StreamStatus:
        means, limits = self.window.means(), self.window.limits()
        ranked = sorted(limits, key=limits.__getitem__)
        status = StreamStatus(
            self.source.name,
            self.source.url,
            state=self.state,
            account=self.account(),
            rates=self.window.rates(),
            density=means.density,
            share=means.share,
            age_seconds=self.window.ages(),
            queue=self.queue(),
            limit=ranked[-1] if ranked else None,
            limit_shares=limits,
            error=self.error,
        )
        report = self.source.report
        return _of_camera(status, report) if isinstance(report, CameraReport) else status


def _of_camera(status: StreamStatus, report: CameraReport) -> StreamStatus:
    """The status with what a camera says that is connected anew when it is lost."""
    status = replace(
        status,
        reconnects=report.reconnects,
        gap_seconds=report.gap_seconds,
        frames_to_recover=report.frames_to_recover,
    )
    if report.event is None or report.event.state == "ended":
        return status
    event = event_of(report.event)
    over = status.state in ("ended", "failed")
    return replace(status, event=event, state=status.state if over else event.state)


class StatusWatcher:
    """Passes on what a run tells, and gives its status at any moment, to any thread."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._streams: dict[str, _Watched] = {}
        self._lock = Lock()
        self._began_at = monotonic()

    def start(self, source: Source) -> None:
        with self._lock:
            self._streams[source.name] = _Watched(source)
        self._watcher.start(source)

    def update(self, prediction: Prediction) -> None:
        with self._lock:
            self._count(self._streams[prediction.stream], prediction)
        self._watcher.update(prediction)

    def finish(self, summary: StreamSummary) -> None:
        with self._lock:
            self._streams[summary.stream].finish(summary.error)
        self._watcher.finish(summary)

    def status(self) -> RunStatus:
        """What runs, and how well."""
        process = psutil.Process()
        with self._lock:
            streams = tuple(stream.status() for stream in self._streams.values())
        actor = ActorStatus(
            "streamdyn",
            "worker",
            os.getpid(),
            platform.node(),
            tuple(stream.name for stream in streams),
            memory_bytes=process.memory_info().rss,
        )
        return RunStatus(time(), monotonic() - self._began_at, streams, (actor,))

    def _count(self, stream: _Watched, prediction: Prediction) -> None:
        stream.state = "running"
        if prediction.status == "computed":
            stream.computed += 1
        else:
            stream.reused += 1
        spent = prediction.seconds
        waited: Limit = "source" if stream.source.live else "decode"
        stages: dict[Limit, float] = {
            waited: spent.decode,
            "policy": spent.policy,
            "engine": spent.model + spent.setup + spent.audit,
        }
        stream.seconds = {
            name: stream.seconds.get(name, 0.0) + seconds for name, seconds in stages.items()
        }
        now = monotonic()
        stream.window.mark(now, stream.account(), stream.source.report.decoded, stream.seconds)
        stream.window.add(now, prediction, prediction.latency_seconds)
