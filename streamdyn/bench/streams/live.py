"""Cameras in real time: with an engine that keeps up, and with one that cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from streamdyn.bench.cameras import Camera, RtspServer
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.streams.ages import Ages
from streamdyn.bench.streams.fleet import Fleet
from streamdyn.bench.streams.meter import Span
from streamdyn.bench.streams.setting import BENCH, CAMERA_FPS, CAMERA_POLICY, Setting
from streamdyn.sources import open_source
from streamdyn.specs import ModelSpec
from streamdyn.status import Account

ASKED_AGE = Asked(0.5, at_most=True)
ASKED_RATE = Asked(0.99)  # of the cameras' pace
ASKED_DROPPED = Asked(0.001, at_most=True)  # of the frames
ASKED_MISSING = Asked(0.01, at_most=True)  # of the frames
TOO_SLOW = 3.0  # times


@dataclass(frozen=True, slots=True)
class _Watched:
    """What came of all cameras in a span of time."""

    seconds: float
    account: Account
    span: Span
    ages: Ages


def measure_live(setting: Setting) -> Iterator[Measurement]:
    """The pace, the drops and the ages of results."""
    with camera_server(setting) as server:
        sources = [server.url(name) for name in server.cameras]
        yield from measure_held(setting, sources)
        yield from measure_overloaded(setting, sources)


def measure_held(setting: Setting, sources: Sequence[str]) -> Iterator[Measurement]:
    """Cameras that the engine keeps up with."""
    spec = setting.network(setting.light)
    setting.say(f"live: {len(sources)} cameras for {setting.live_seconds:g} s")
    held = _watch(setting, "live", spec, CAMERA_POLICY, sources)
    density = held.span.blocks / max(held.span.frames, 1) / setting.blocks(spec)
    case = f"{len(sources)} cameras at {CAMERA_FPS} fps, {setting.light}, {density:.1%} of blocks"
    pace = held.account.captured / held.seconds / (len(sources) * CAMERA_FPS)
    dropped = held.account.dropped / max(held.account.captured, 1)
    yield Measurement.of(
        BENCH, case, "frames captured over those sent", "ratio", [pace], asked=ASKED_RATE
    )
    yield Measurement.of(BENCH, case, "frames dropped", "of all", [dropped], asked=ASKED_DROPPED)
    yield from _ages(case, held.ages)


def measure_overloaded(setting: Setting, sources: Sequence[str]) -> Iterator[Measurement]:
    """Cameras that send `TOO_SLOW` times as much as the engine can compute."""
    frame_seconds = TOO_SLOW / (len(sources) * CAMERA_FPS)
    spec = _slowed(setting, frame_seconds)
    setting.say(f"live: the same, every frame computed whole in {frame_seconds * 1000:.0f} ms")
    slow = _watch(setting, "live-slow", spec, "All", sources)
    captured = slow.account.captured
    times = captured / max(slow.account.computed, 1)
    case = f"{len(sources)} cameras, an engine {times:.2g} times too slow"
    yield from _ages(case, slow.ages)
    dropped = slow.account.dropped / max(captured, 1)
    yield Measurement.of(BENCH, case, "frames dropped", "of all", [dropped])
    # By the cameras' pace, not by our own count, of which it is the sum.
    sent = slow.seconds * len(sources) * CAMERA_FPS
    missing = max(1 - captured / sent, 0.0)
    yield Measurement.of(
        BENCH, case, "frames neither told of nor counted as dropped", "of all", [missing],
        asked=ASKED_MISSING,
    )  # fmt: skip


def camera_server(setting: Setting) -> RtspServer:
    """A server of cameras that run while nobody looks."""
    clips = setting.cameras(setting.streams)
    return RtspServer(
        {f"cam-{number}": Camera(clip=clip, running=True) for number, clip in enumerate(clips, 1)}
    )


def _watch(
    setting: Setting, name: str, spec: ModelSpec, policy: str, sources: Sequence[str]
) -> _Watched:
    ages = Ages()
    with Fleet(setting, name, spec, policy) as fleet:
        fleet.start(sources, save=("jsonl", ages))
        ages.clear()
        before, start = fleet.account(), perf_counter()
        span = fleet.steady(setting.live_seconds)
        after, seconds = fleet.account(), perf_counter() - start
    return _Watched(seconds, _more(before, after), span, ages)


def _more(before: Account, after: Account) -> Account:
    return Account(
        after.computed - before.computed,
        after.reused - before.reused,
        after.dropped - before.dropped,
        after.failed - before.failed,
    )


def _ages(case: str, ages: Ages) -> Iterator[Measurement]:
    for name, fraction in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        asked = ASKED_AGE if name == "p99" else None
        found = [ages.quantile(fraction)]
        yield Measurement.of(BENCH, case, f"age of results, {name}", "s", found, asked=asked)


def _slowed(setting: Setting, frame_seconds: float) -> ModelSpec:
    """The heavy network at the size at which it takes about so long for a whole picture."""
    spec = setting.network(setting.heavy)
    model = spec.load(os.cpu_count())
    (clip,) = setting.cameras(1)
    frame = next(iter(open_source(clip)))
    cache, mask = model.new_cache(frame.size), model.grid(frame.size).all()
    for _ in range(3):
        start = perf_counter()
        model(frame, mask, cache)
        seconds = perf_counter() - start
    height, width = setting.size
    wanted = height * frame_seconds / seconds
    rows = max(round(wanted / spec.block), 1) * spec.block
    return replace(spec, size=(rows, width))
