"""Cameras for a long time: does memory grow?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from time import monotonic, sleep

import numpy as np
import psutil

from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.streams.fleet import Fleet
from streamdyn.bench.streams.live import camera_server
from streamdyn.bench.streams.setting import BENCH, CAMERA_POLICY, Setting

ASKED_SLOPE = Asked(1.0, at_most=True)
SAMPLES = 180  # in all, evenly spread
MB = 1e6


def measure_soak(setting: Setting) -> Iterator[Measurement]:
    """The slope of the memory of all processes together, over the second half."""
    seconds = setting.soak_minutes * 60
    with camera_server(setting) as server:
        setting.say(f"soak: {len(server.cameras)} cameras for {setting.soak_minutes:g} minutes")
        with Fleet(setting, "soak", setting.network(setting.light), CAMERA_POLICY) as fleet:
            fleet.start([server.url(name) for name in server.cameras])
            start, times, held = monotonic(), list[float](), list[float]()
            while (spent := monotonic() - start) < seconds:
                times.append(spent / 60)
                held.append(_memory() / MB)
                sleep(seconds / SAMPLES)
            account = fleet.account()
    half = len(times) // 2
    slope = float(np.polyfit(times[half:], held[half:], 1)[0])
    case = f"{len(server.cameras)} cameras for {setting.soak_minutes:g} minutes"
    about = {"frames": account.captured, "dropped": account.dropped, "failed": account.failed}
    yield Measurement.of(
        BENCH, case, "slope of memory over the second half", "MB/min", [slope],
        asked=ASKED_SLOPE, about=about,
    )  # fmt: skip
    yield Measurement.of(BENCH, case, "memory of all processes", "MB", held, about=about)


def _memory() -> int:
    """Bytes that this process and all below it hold; what several share counts once."""
    whole = 0
    for process in (own := psutil.Process(), *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            whole += process.memory_full_info().pss
    return whole
