"""Cameras on a cluster: what breaks is counted, and costs nobody else anything."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

import psutil
import pytest

from streamdyn.bench.cameras import Camera, RtspServer
from streamdyn.specs import StreamSpec
from streamdyn.status import StreamStatus
from tests.cameras.proxy import FaultyProxy
from tests.cameras.silent import SilentServer
from tests.cluster_kit import small_model
from tests.fleet_kit import Fleet, slowly
from tests.media_factory import write_video

pytestmark = pytest.mark.timeout(300)
FPS = 10
GOOD = ("a", "b")
ALL = (*GOOD, "c")
PASSWORD = "hush-4711"


class Site(NamedTuple):
    """Three cameras that run; the way to the third can be broken."""

    fleet: Fleet
    server: RtspServer
    third: RtspServer
    network: FaultyProxy


@pytest.fixture(scope="module")
def site(_rtsp, ray_cluster, tmp_path_factory) -> Generator[Site]:
    folder = tmp_path_factory.mktemp("live")
    options = {"tune": "zerolatency", "sc_threshold": "0"}
    clip = write_video(
        folder / "cam.mp4", times=range(0, 4000, 1000 // FPS), gop=5, options=options
    )
    camera = Camera(clip=clip, running=True)
    with ExitStack() as stack:
        server = stack.enter_context(RtspServer({"cam": camera}))
        third = stack.enter_context(RtspServer({"cam": camera}))
        network = stack.enter_context(FaultyProxy(third.port))
        fleet = Fleet(folder / "out", ray_cluster.address, small_model(folder))
        stack.enter_context(fleet.supervisor)
        for name in GOOD:
            fleet.add(name, server.url("cam"), "Change")
        fleet.add("c", f"rtsp://127.0.0.1:{network.port}/cam", "Change", timeout_seconds=2.0)
        for name in ALL:
            fleet.wait_computed(name, 5)
        yield Site(fleet, server, third, network)


class Undisturbed:
    """That the good cameras run on while something happens to another."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def __enter__(self) -> None:
        self.before = self.streams()

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            return
        for before, after in zip(self.before, self.streams(), strict=True):
            assert after.state == "running"
            assert after.account.computed > before.account.computed
            assert after.account.failed == before.account.failed
            assert after.reconnects == before.reconnects
            assert after.crashes == before.crashes

    def streams(self) -> list[StreamStatus]:
        return [self.fleet.stream(name) for name in GOOD]


def wait_back(fleet: Fleet, name: str, frames: int = 3) -> None:
    """Wait until a camera gives results again."""
    fleet.wait_computed(name, fleet.computed(name) + frames)


def test_a_camera_that_falls_silent_is_stalled_and_comes_back(site):
    fleet, before = site.fleet, site.fleet.stream("c")
    with Undisturbed(fleet):
        site.network.stall()
        fleet.wait(lambda: fleet.stream("c").state == "reconnecting")
        fleet.wait(lambda: "stalled" in fleet.causes("c"))
        site.network.forward()
        site.network.drop()
        wait_back(fleet, "c")
    after = fleet.stream("c")
    assert after.state == "running"
    assert after.reconnects > before.reconnects
    assert after.gap_seconds >= before.gap_seconds + 2.0
    assert after.crashes == before.crashes


def test_a_camera_that_goes_off_and_on_leaves_nothing_behind(site):
    fleet = site.fleet
    process = psutil.Process(fleet.decoder("c"))
    used = []
    for _ in range(4):
        before = fleet.stream("c").reconnects
        with Undisturbed(fleet):
            site.network.refuse()
            site.network.drop()
            fleet.wait(lambda: fleet.stream("c").state == "reconnecting")
            site.network.forward()
            fleet.wait(lambda before=before: fleet.stream("c").reconnects > before)
            wait_back(fleet, "c")
        used.append((process.num_threads(), process.num_fds()))
    assert used[-1] <= max(used[:2])
    assert fleet.decoder("c") == process.pid


def test_a_camera_whose_server_is_killed_comes_back(site):
    fleet, before = site.fleet, site.fleet.stream("c").reconnects
    with Undisturbed(fleet):
        site.third.kill()
        fleet.wait(lambda: fleet.stream("c").state == "reconnecting")
        site.third.start()
        fleet.wait(lambda: fleet.stream("c").reconnects > before)
        wait_back(fleet, "c")


def test_a_decoder_that_is_killed_is_a_gap(site):
    fleet, before = site.fleet, site.fleet.stream("c")
    with Undisturbed(fleet):
        fleet.signal_decoder("c", signal.SIGKILL)
        wait_back(fleet, "c")
    after = fleet.stream("c")
    assert after.crashes == before.crashes + 1
    assert after.gap_seconds > before.gap_seconds
    fleet.wait(lambda: "decoder lost" in fleet.causes("c"))


def test_frames_that_a_lost_worker_had_are_counted_as_failed(site):
    fleet = site.fleet
    before = {name: fleet.stream(name) for name in ALL}
    fleet.signal_worker(signal.SIGKILL)
    for name in ALL:
        wait_back(fleet, name)
        after = fleet.stream(name)
        assert 0 <= after.account.failed - before[name].account.failed <= 3
        assert after.account.dropped > before[name].account.dropped
        assert after.reconnects == before[name].reconnects
        assert after.state == "running"
    assert sum(fleet.stream(name).account.failed for name in ALL) > 0


def test_a_stream_that_is_too_slow_shows_what_is_new(site):
    fleet = site.fleet
    with Undisturbed(fleet):
        fleet.add("slow", site.server.url("cam"), slowly(0.4))
        fleet.wait_computed("slow", 12)
        fleet.wait(lambda: fleet.stream("slow").queue == 2)  # one is computed, one waits
        status = fleet.stream("slow")
        fleet.stop("slow")
    assert status.account.dropped > status.account.computed
    assert status.age_seconds["p50"] < 1.0  # the camera is by then many seconds ahead
    assert_counted(fleet, "slow")


def test_a_camera_that_is_changed_goes_on(site):
    fleet = site.fleet
    fleet.add("changing", site.server.url("cam"), "Change")
    fleet.wait_computed("changing", 5)
    changed = StreamSpec(
        name="changing", source=site.server.url("cam"), policy="All", model=fleet.model
    )
    fleet.supervisor.change(changed)
    fleet.wait_computed("changing", 5)
    fleet.stop("changing")
    before, after = fleet.records("changing"), fleet.records("changing-2")
    assert {record["density"] for record in after} == {1.0}
    assert before[-1]["index"] < after[0]["index"]
    assert before[-1]["pts_seconds"] < after[0]["pts_seconds"]
    with pytest.raises(KeyError):
        fleet.supervisor.change(replace(changed, name="nobody"))


@pytest.mark.parametrize("what", ["refused", "authentication", "not found", "timeout"])
def test_says_why_there_is_no_picture(site, what):
    fleet, name = site.fleet, what.replace(" ", "-")
    with ExitStack() as stack:
        url = site.server.url("cam" if what != "not found" else "other")
        if what == "refused":
            silent = SilentServer()
            url = f"rtsp://127.0.0.1:{silent.port}/cam"
        elif what == "timeout":
            silent = stack.enter_context(SilentServer())
            url = f"rtsp://127.0.0.1:{silent.port}/cam"
        elif what == "authentication":
            locked = RtspServer(site.server.cameras, user="me", password="other")
            url = stack.enter_context(locked).url("cam", user="me", password=PASSWORD)
        with Undisturbed(fleet):
            fleet.add(name, url, "Change", timeout_seconds=1.0)
            event = fleet.wait(lambda: fleet.stream(name).event)
            fleet.wait(lambda: what in fleet.causes(name))
            wait_back(fleet, "a", FPS)
            status = fleet.stream(name)
            fleet.stop(name)
    assert status.state in ("reconnecting", "connecting")
    assert status.account.captured == 0
    assert PASSWORD not in repr((event, status, fleet.events))
    assert not (fleet.output / name).exists()


def test_in_the_end_every_frame_is_accounted_for(site):
    """Runs last: it stops the cameras that all tests before shared."""
    site.fleet.stop(*ALL)
    for name in ALL:
        assert_counted(site.fleet, name)
        assert site.fleet.stream(name).state == "stopped"


def assert_counted(fleet: Fleet, name: str) -> None:
    """Indices and times of the results go up, and what is missing is counted."""
    records = fleet.records(name)
    indices = [record["index"] for record in records]
    times = [record["pts_seconds"] for record in records]
    assert indices == sorted(set(indices))
    assert times == sorted(set(times))
    account = fleet.stream(name).account
    assert account.computed + account.reused == len(records)
    assert account.captured > indices[-1]
    summary = next(s for s in fleet.supervisor.summaries if s.stream == name)
    assert summary.captured == account.captured  # the one as the cameras count it
    assert summary.journey.failed == account.failed
    assert summary.dropped == account.dropped
