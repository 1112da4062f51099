"""A camera that goes and comes back: how soon there are results again, and what that leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic, sleep

import psutil

from streamdyn.backoff import Backoff
from streamdyn.bench.cameras import Camera, RtspServer
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.streams.fleet import Fleet
from streamdyn.bench.streams.setting import (
    BENCH,
    CAMERA_POLICY,
    KEY_FRAME_SECONDS,
    Setting,
)

ASKED_BACK = Asked(Backoff().cap_seconds + KEY_FRAME_SECONDS, at_most=True)
ASKED_MORE = Asked(0.0, at_most=True)
ASKED_MEMORY = Asked(0.05, at_most=True)
WARM_CYCLES = 3  # off and on, before what a process holds is counted
BACK_SECONDS = 90.0  # within which results must come again
OFF_SECONDS = 30.0  # within which a camera that is gone must be noticed


def measure_outages(setting: Setting) -> Iterator[Measurement]:
    """The seconds from a camera's return to its first result, and what the decoder holds after
    many of them."""
    camera = Camera(clip=setting.cameras(1)[0], running=True)
    with RtspServer({"cam": camera}) as server:
        spec = setting.network(setting.light)
        with Fleet(setting, "outage", spec, CAMERA_POLICY) as fleet:
            (name,) = fleet.start([server.url("cam")])
            cut = _Cut(server, fleet, name)
            for seconds in setting.outages:
                setting.say(f"outage: the camera is off for {seconds:g} s")
                yield from _outage(cut, seconds)
            setting.say(f"outage: off and on, {setting.cycles} times")
            yield from _cycles(cut, setting.cycles)


@dataclass(frozen=True, slots=True)
class _Back:
    """A return of the camera."""

    seconds: float  # from when it answers until its first result
    waited_seconds: float  # of these, until it was tried again


@dataclass(frozen=True, slots=True)
class _Cut:
    """A camera that can be turned off, and the stream that shows it."""

    server: RtspServer
    fleet: Fleet
    stream: str

    def off(self, seconds: float) -> _Back:
        """Turn it off for at least so long, and until that was noticed; then on."""
        fleet = self.fleet
        told = len(fleet.events)
        self.server.stop()
        gone = monotonic()
        fleet.wait(lambda: self._told("reconnecting", told), "the loss to be noticed", OFF_SECONDS)
        sleep(max(seconds - (monotonic() - gone), 0.0))
        self.server.start()
        back, frames = monotonic(), fleet.meter.frames(self.stream)
        seen = fleet.wait(
            lambda: fleet.meter.frames(self.stream) > frames, "results again", BACK_SECONDS
        )
        tries = [e.at for e in fleet.events if e.event.state == "connecting" and e.at > back]
        return _Back(seen - back, (tries[0] - back) if tries else 0.0)

    def _told(self, state: str, since: int) -> bool:
        return any(happened.event.state == state for happened in self.fleet.events[since:])


def _outage(cut: _Cut, seconds: float) -> Iterator[Measurement]:
    back = cut.off(seconds)
    case = f"a camera that is off for {seconds:g} s"
    yield Measurement.of(
        BENCH, case, "from its return to the first result", "s", [back.seconds], asked=ASKED_BACK
    )
    yield Measurement.of(
        BENCH, case, "of these, until it was tried again", "s", [back.waited_seconds]
    )


def _cycles(cut: _Cut, count: int) -> Iterator[Measurement]:
    for _ in range(WARM_CYCLES):
        cut.off(0.0)
    before = _held(cut.fleet)
    for _ in range(count):
        cut.off(0.0)
    after = _held(cut.fleet)
    case = f"{count} times off and on, the decoder's process"
    for what, more in {
        "threads": after.threads - before.threads,
        "file descriptors": after.files - before.files,
    }.items():
        yield Measurement.of(BENCH, case, f"more {what} than before", "1", [more], asked=ASKED_MORE)
    growth = after.memory / before.memory - 1
    yield Measurement.of(BENCH, case, "growth of memory", "of it", [growth], asked=ASKED_MEMORY)


@dataclass(frozen=True, slots=True)
class _Held:
    threads: int
    files: int
    memory: int  # bytes


def _held(fleet: Fleet) -> _Held:
    """What the decoder's process holds, as soon as a connection has settled."""
    sleep(3.0)
    (decoder,) = fleet.actors("decoder")
    process = psutil.Process(decoder.pid)
    return _Held(process.num_threads(), process.num_fds(), process.memory_info().rss)
