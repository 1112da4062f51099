"""The status of a run in one process, at any moment of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamdyn import ModelError, load_policy, open_source
from streamdyn.backoff import Backoff
from streamdyn.bench.cameras import Camera, RtspServer
from streamdyn.progress import Unwatched
from streamdyn.run_status import StatusWatcher
from streamdyn.runner import Runner
from streamdyn.sources import Source, reconnecting
from streamdyn.status import StreamStatus
from streamdyn.testing import StillModel
from tests.cameras.proxy import FaultyProxy
from tests.media_factory import write_video


class Asking(Unwatched):
    """Asks for the status at each prediction, and may do something then."""

    def __init__(self, act: Callable[[int], None] = lambda count: None) -> None:
        self.act = act
        self.seen: list[StreamStatus] = []
        self.watcher = StatusWatcher(self)

    def update(self, prediction) -> None:
        self.act(len(self.seen))
        (stream,) = self.watcher.status().streams
        self.seen.append(stream)


def run(folder: Path, source: Source, asking: Asking, model=None) -> StreamStatus:
    """The status at the end."""
    policy = "Interval(every=2)"
    made = Runner(
        model or StillModel(), lambda: load_policy(policy), folder, watcher=asking.watcher
    )
    (summary,) = made.run([source])
    (stream,) = asking.watcher.status().streams
    report = source.report
    assert stream.account.captured == report.emitted + report.dropped == summary.captured
    assert stream.account.failed == summary.journey.failed
    assert stream.queue == 0
    return stream


def test_frames_are_counted_as_they_come(tmp_path):
    source = open_source("synthetic:square?frames=6&height=96&width=160", name="square")
    asking = Asking()
    stream = run(tmp_path, source, asking)
    assert [s.account.captured for s in asking.seen] == [1, 2, 3, 4, 5, 6]
    assert {s.state for s in asking.seen} == {"running"}
    assert (stream.state, stream.event) == ("ended", None)
    assert (stream.account.computed, stream.account.reused) == (3, 3)


class Breaks(StillModel):
    """Computes three pictures."""

    def __call__(self, frame, mask, cache):
        if frame.index >= 6:
            raise ModelError("out of memory")
        return super().__call__(frame, mask, cache)


def test_the_frame_at_which_a_stream_breaks_has_failed(tmp_path):
    source = open_source("synthetic:square?frames=20&height=96&width=160", name="square")
    stream = run(tmp_path, source, Asking(), Breaks())
    assert (stream.state, stream.error) == ("failed", "out of memory")
    account = stream.account
    assert (account.computed, account.reused, account.failed) == (3, 3, 1)


def test_a_camera_tells_what_it_lost(
    tmp_path,
    rtsp_server: Callable[..., RtspServer],
    proxy: Callable[[int], FaultyProxy],
):
    options = {"tune": "zerolatency", "sc_threshold": "0"}
    clip = write_video(tmp_path / "cam.mp4", times=range(0, 4000, 40), gop=10, options=options)
    network = proxy(rtsp_server({"cam": Camera(clip=clip, running=True)}).port)
    single = open_source(
        f"rtsp://127.0.0.1:{network.port}/cam", timeout_seconds=1.0, max_frames=30, name="door"
    )
    asking = Asking(lambda count: network.drop() if count == 10 else None)
    stream = run(tmp_path / "out", reconnecting(single, Backoff(0.05, 0.3), seed=0), asking)
    before, after = asking.seen[0], asking.seen[-1]
    assert (before.reconnects, before.gap_seconds, before.frames_to_recover) == (0, 0.0, None)
    assert after.event is not None
    assert (after.state, after.event.state) == ("running", "running")
    assert after.event.frames_to_recover == after.frames_to_recover is not None
    assert (stream.state, stream.reconnects) == ("ended", 1)
    assert stream.gap_seconds > 0
