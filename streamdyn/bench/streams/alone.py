"""The same streams in one process, without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

from streamdyn.bench.streams.fleet import SETTLE_SECONDS
from streamdyn.bench.streams.meter import Meter, Span, between
from streamdyn.load import load_policy
from streamdyn.models.vision import VisionModel
from streamdyn.runner import Runner
from streamdyn.sources import open_source

_LOOK_SECONDS = 0.02


def run_alone(
    model: VisionModel, policy: str, clip: Path, folder: Path, seconds: float, meter: Meter
) -> Span:
    """What comes of one file while it runs, without the start."""
    source = open_source(clip)
    runner = Runner(model, lambda: load_policy(policy), folder, watcher=meter)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(runner.run, [source])
        try:
            while not meter.saw([source.name]) and not run.done():
                sleep(_LOOK_SECONDS)
            sleep(SETTLE_SECONDS)
            before = meter.total()
            sleep(seconds)
            found = between(before, meter.total())
        finally:
            source.stop()
        run.result()
    return found


def run_files(
    model: VisionModel, policy: str, clips: Sequence[Path], folder: Path, frames: int
) -> Span:
    """The first frames of several files, one file after the other."""
    meter = Meter()
    runner = Runner(model, lambda: load_policy(policy), folder, watcher=meter)
    runner.run([open_source(clip, max_frames=frames) for clip in clips])
    return meter.one_by_one()
