"""Cameras that come back, behind a network that fails."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from random import Random

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.bench.cameras import Camera as Clip
from streamdyn.bench.cameras import RtspServer
from streamdyn.errors import SourceError, StreamdynError
from streamdyn.sources import Backoff, Camera, CameraEvent, Resume, open_source, reconnecting
from streamdyn.types import Frame
from tests.cameras.http import HttpServer
from tests.cameras.proxy import FaultyProxy
from tests.cameras.silent import SilentServer
from tests.media_factory import write_video

SOON = Backoff(first_seconds=0.05, cap_seconds=0.3, jitter=0.2)
GOP = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("clip") / "cam.mp4"
    return write_video(
        path,
        times=range(0, 4000, 40),
        gop=GOP,
        options={"tune": "zerolatency", "sc_threshold": "0"},
    )


@pytest.fixture
def network(
    clip: Path,
    rtsp_server: Callable[..., RtspServer],
    proxy: Callable[[int], FaultyProxy],
) -> tuple[str, FaultyProxy]:
    """A camera, and the network on the way to it."""
    server = rtsp_server({"cam": Clip(clip=clip, running=True)})
    network = proxy(server.port)
    return f"rtsp://127.0.0.1:{network.port}/cam", network


def watch(source: str, seconds: float = 1.0, **options: object) -> tuple[Camera, list[CameraEvent]]:
    events: list[CameraEvent] = []
    single = open_source(source, timeout_seconds=seconds, name="door", **options)
    return reconnecting(single, SOON, on_event=events.append, seed=0), events


def states(events: list[CameraEvent]) -> list[str]:
    """The states in turn, without repetitions."""
    return [state for state, _ in itertools.groupby(event.state for event in events)]


def take(frames: Generator[Frame], count: int) -> list[Frame]:
    return list(itertools.islice(frames, count))


def take_until_back(camera: Camera, frames: Generator[Frame], count: int) -> list[Frame]:
    """Take frames until the camera came back so often."""
    seen = []
    while camera.report.reconnects < count:
        seen += take(frames, 1)
    return seen


def mend_once_lost(camera: Camera, proxy: FaultyProxy) -> threading.Thread:
    def wait() -> None:
        while camera.report.state == "running":
            time.sleep(0.01)
        time.sleep(0.5)
        proxy.forward()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def check_order(frames: list[Frame]) -> None:
    for before, after in itertools.pairwise(frames):
        assert before.index < after.index
        assert before.pts_seconds < after.pts_seconds
        assert before.captured_at < after.captured_at


def test_index_and_time_go_on_over_each_loss(network: tuple[str, FaultyProxy]) -> None:
    url, proxy = network
    camera, events = watch(url)
    frames = iter(camera)
    seen = take(frames, 10)
    for count, faults in enumerate(
        [[proxy.drop], [proxy.stall], [proxy.refuse, proxy.drop]], start=1
    ):
        for fault in faults:
            fault()
        mended = mend_once_lost(camera, proxy)
        seen += take_until_back(camera, frames, count)
        mended.join()
    report = camera.report
    frames.close()
    check_order(seen)
    assert {frame.stream for frame in seen} == {"door"}
    assert report.reconnects == 3
    assert report.state == "running"
    assert report.emitted == len(seen)
    assert report.decoded == report.emitted + report.dropped
    assert seen[-1].index < report.decoded
    passed = seen[-1].captured_at - seen[0].captured_at
    assert 3 * 0.5 < report.gap_seconds < passed
    assert seen[-1].pts_seconds - seen[0].pts_seconds == pytest.approx(passed, abs=1.5)
    causes = {event.cause for event in events if event.state == "reconnecting"}
    assert causes == {"lost", "stalled", "refused"}
    running = [event for event in events if event.state == "running"]
    assert [event.frames_to_recover is None for event in running] == [True, False, False, False]
    assert all(event.frames_to_recover <= 2 * GOP for event in running[1:])
    assert states(events)[:2] == ["connecting", "running"]
    assert states(events)[-1] == "ended"
    assert events[-1].at >= events[0].at


def test_many_losses_leave_nothing_behind(network: tuple[str, FaultyProxy]) -> None:
    url, proxy = network
    process = psutil.Process()

    def held() -> tuple[int, int]:
        return process.num_fds(), process.num_threads()

    camera, _ = watch(url)
    frames = iter(camera)
    take(frames, 2)
    frames.close()
    before = held()
    frames = iter(camera)
    take(frames, 1)
    for count in range(1, 6):
        proxy.drop()
        take_until_back(camera, frames, count)
    frames.close()
    deadline = time.monotonic() + 10
    while held() > before and time.monotonic() < deadline:  # the proxy has ends to close as well
        time.sleep(0.05)
    assert held()[0] <= before[0]
    assert held()[1] <= before[1]
    assert not camera.stuck


def test_limits_hold_over_all_connections(network: tuple[str, FaultyProxy]) -> None:
    url, proxy = network
    camera, events = watch(url, max_frames=8, stride=2)
    seen = []
    for frame in camera:
        seen.append(frame)
        if len(seen) == 4:
            proxy.drop()
    assert len(seen) == camera.report.emitted == 8
    assert all(frame.index % 2 == 0 for frame in seen)
    check_order(seen)
    assert camera.report.state == events[-1].state == "ended"


def test_a_duration_ends_also_while_the_camera_is_off(network: tuple[str, FaultyProxy]) -> None:
    url, proxy = network
    camera, events = watch(url, duration=1.5)
    frames = iter(camera)
    first = next(frames)
    proxy.refuse()
    proxy.drop()
    rest = list(frames)
    assert all(frame.pts_seconds < first.pts_seconds + 1.5 for frame in rest)
    assert states(events)[-1] == "ended"
    assert events[-1].at - first.captured_at < 10


def test_what_cannot_get_better_is_tried_at_the_longest_wait(
    clip: Path, rtsp_server: Callable[..., RtspServer], capfd: pytest.CaptureFixture[str]
) -> None:
    server = rtsp_server({"cam": clip}, user="eve", password="s3cret", digest=True)
    for url, cause in [
        (server.url("cam", user="eve", password="wr0ng-s3cret"), "authentication"),
        (server.url("none", user="eve", password="s3cret"), "not found"),
    ]:
        camera, events = watch(url)
        frames = iter(camera)
        stopper = stop_at(camera, events, "failed", 2)
        assert list(frames) == []
        stopper.join()
        failed = [event for event in events if event.state == "failed"]
        assert {event.cause for event in failed} == {cause}
        assert all(0.2 < event.wait_seconds <= 0.3 for event in failed)
        shown = [event.message for event in events] + [camera.url, *capfd.readouterr()]
        assert not [text for text in shown if "s3cret" in text or "eve" in text]


def stop_at(
    camera: Camera, events: list[CameraEvent], state: str, count: int = 1
) -> threading.Thread:
    """Stop a camera from another thread once it was so often in a state."""

    def wait() -> None:
        while sum(event.state == state for event in events) < count:
            time.sleep(0.01)
        camera.stop()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_wait_ends_when_the_camera_is_stopped() -> None:
    with SilentServer() as silent:
        port = silent.port
    source = open_source(f"tcp://127.0.0.1:{port}", timeout_seconds=1)
    events: list[CameraEvent] = []
    camera = reconnecting(source, Backoff(3600, 3600, 0), on_event=events.append)
    stopper = stop_at(camera, events, "reconnecting")
    assert list(camera) == []
    stopper.join()
    assert [event.state for event in events] == ["connecting", "reconnecting", "ended"]
    assert events[1].cause == "refused"
    assert list(camera) == []  # once stopped, it stays so


def test_an_opening_ends_when_the_camera_is_stopped() -> None:
    with SilentServer() as silent:
        camera, events = watch(f"rtsp://127.0.0.1:{silent.port}/cam", 3600)
        stopper = stop_at(camera, events, "connecting")
        assert list(camera) == []
        stopper.join()
        assert [event.state for event in events] == ["connecting", "ended"]


@pytest.mark.parametrize("trickle", [b"", b"RTSP/1.0 200 OK\r\nX: " + b"." * 1000])
def test_a_server_that_says_nothing_times_out(trickle: bytes) -> None:
    with SilentServer(trickle) as silent:
        camera, events = watch(f"rtsp://127.0.0.1:{silent.port}/cam", 0.3)
        stopper = stop_at(camera, events, "reconnecting", 2)
        assert list(camera) == []
        stopper.join()
    assert {event.cause for event in events if event.state == "reconnecting"} == {"timeout"}


def test_a_camera_over_http_comes_back(clip: Path) -> None:
    server = HttpServer(clip.parent)
    server.start()
    try:
        camera, _ = watch(server.endless("cam.mp4"), 2.0)
        frames = iter(camera)
        seen = take(frames, 5)
        server.stop()
        threading.Timer(0.5, server.start).start()
        seen += take_until_back(camera, frames, 1)
        frames.close()
    finally:
        server.stop()
    check_order(seen)


def test_a_recording_runs_once_like_a_camera() -> None:
    camera = reconnecting(open_source("synthetic:square?frames=5&fps=50&height=8&width=8"), SOON)
    frames = list(camera)
    assert camera.live
    report = camera.report
    assert report.decoded == 5 == report.emitted + report.dropped
    assert len(frames) == report.emitted
    assert report.state == "ended"


def test_a_camera_goes_on_where_another_process_left_it() -> None:
    spec = "synthetic:square?frames=5&fps=50&height=8&width=8"
    captured_at = time.time() - 100
    for make in (reconnecting, lambda source: source):
        source = make(open_source(spec, live=True, name="a"))
        first = next(iter(source.resumed(Resume(41, 7.0, captured_at))))
        assert first.index >= 42
        assert 106 < first.pts_seconds < 200
        assert next(iter(source.resumed(Resume(41, 7.0)))).pts_seconds == pytest.approx(7, abs=0.2)


def test_several_streams_are_reconnected_one_by_one(tmp_path: Path) -> None:
    listing = tmp_path / "cameras.txt"
    listing.write_text("synthetic:square\nsynthetic:street\n")
    with pytest.raises(SourceError, match="reconnect each of its streams"):
        reconnecting(open_source(listing))


HANGS = """
import sys, threading, time
from streamdyn.sources import Backoff, open_source, reconnecting

source = open_source(sys.argv[1], live=True, timeout_seconds=0.01)
camera = reconnecting(source, Backoff(3600, 3600))
threading.Thread(target=list, args=(camera,), daemon=True).start()
print(camera.stuck)
while not camera.stuck:
    time.sleep(0.1)
print(camera.report.state)
"""


def test_a_reader_that_hangs_is_told_of_and_does_not_keep_the_process(tmp_path: Path) -> None:
    """To open a pipe that nobody writes to never returns, whatever FFmpeg's deadline is."""
    pipe = tmp_path / "cam.ts"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", HANGS, str(pipe)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "reconnecting"]


@given(st.integers(1, 5000), st.floats(0.01, 10), st.floats(0, 100), st.floats(0, 1))
def test_waits_double_up_to_the_cap(attempt: int, first: float, more: float, jitter: float) -> None:
    backoff = Backoff(first, first + more, jitter)
    seconds = backoff.seconds(attempt, Random(0))
    longest = min(first * 2 ** min(attempt - 1, 40), first + more)
    assert longest * (1 - jitter) <= seconds <= longest
    assert backoff.seconds(attempt, Random(0)) == seconds
    assert Backoff(first, first + more, 0).seconds(None, Random(0)) == first + more


@pytest.mark.parametrize("values", [(0, 1), (2, 1), (1, 2, 1.5), (1, 2, -0.5)])
def test_a_backoff_that_makes_no_sense(values: tuple[float, ...]) -> None:
    with pytest.raises(StreamdynError, match="backoff"):
        Backoff(*values)
