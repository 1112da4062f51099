"""The cost around a model: against a bare decode loop, a bare model call, and of the demo."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import psutil

from streamdyn.bench.clips import SCENE_FRAMES, street_clip
from streamdyn.bench.harness import Measurement, interleave
from streamdyn.load import load_policy
from streamdyn.models import load_model
from streamdyn.models.vision import VisionModel
from streamdyn.pipeline import Pipeline
from streamdyn.progress import Unwatched
from streamdyn.runner import Runner
from streamdyn.sources import open_source
from streamdyn.types import Frame, Prediction

SIZE = (432, 768)  # height, width of the generated clip
BENCH = "pipeline"
MIB = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, help="a video file (default: a generated 768x432)")
    parser.add_argument("--model", default="street", help="as for run (default: %(default)s)")
    parser.add_argument("--card", type=Path, help="as for run")
    parser.add_argument(
        "--rounds",
        type=_at_least(1),
        default=9,
        help="of each figure but the demo's (default: %(default)s)",
    )
    parser.add_argument(
        "--demos",
        type=_at_least(0),
        default=3,
        help="runs of the demo; 0 leaves it out (default: %(default)s)",
    )
    parser.add_argument(
        "--frames",
        type=_at_least(1),
        default=6000,
        help="of the generated clip (default: %(default)s)",
    )
    parser.add_argument(
        "--memory-frames",
        type=_at_least(SCENE_FRAMES),
        default=10_000,
        help="of the run that watches memory (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> list[Measurement]:
    """Measure decoding, full computation, memory and the demo."""
    model = load_model(options.model, card=options.card)
    with TemporaryDirectory(prefix="streamdyn-") as name:
        folder = Path(name)
        clip = options.source or street_clip(folder / "clip.mp4", SIZE, options.frames)
        long_clip = street_clip(folder / "long.mp4", SIZE, options.memory_frames)
        return [
            *_decoding(clip, model, options.rounds, folder),
            *_computing(clip, model, options.rounds),
            *_memory(long_clip, model, folder),
            *time_demo(options.demos, folder),
        ]


def _decoding(clip: Path, model: VisionModel, rounds: int, folder: Path) -> Iterator[Measurement]:
    """Nothing is computed after the first frame: what remains of the bare loop's frame rate?"""
    source = open_source(clip)
    bare, pipeline, runner = (
        "bare PyAV loop",
        "Pipeline, First",
        "run, First, JSON lines",
    )
    frames = bare_decode(clip)
    seconds = interleave(
        {
            bare: lambda: bare_decode(clip),
            pipeline: lambda: sum(1 for _ in Pipeline(model, load_policy("First")).run(source)),
            runner: lambda: Runner(model, lambda: load_policy("First"), folder).run([source]),
        },
        rounds,
    )
    for name, samples in seconds.items():
        yield Measurement.of(BENCH, name, "frame rate", "frames/s", [frames / s for s in samples])
    for name in (pipeline, runner):
        shares = [b / s for b, s in zip(seconds[bare], seconds[name], strict=True)]
        yield Measurement.of(BENCH, name, "share of the bare loop's rate", "ratio", shares)


def _computing(clip: Path, model: VisionModel, rounds: int) -> Iterator[Measurement]:
    """Everything is computed: how does the time per frame compare with the model alone?

    The model alone gets the same pixels, already decoded and converted.
    """
    frames = list(islice(open_source(clip), 30))
    count = len(frames)
    images = [Frame.from_image(f.image, index=f.index, pts_seconds=f.pts_seconds) for f in frames]
    size = frames[0].size
    everything, cache = model.grid(size).all(), model.new_cache(size)

    def call_model() -> None:
        for frame in images:
            model(frame, everything, cache)

    def run_pipeline() -> None:
        for _ in islice(Pipeline(model, load_policy("All")).run(open_source(clip)), count):
            pass

    alone, whole = "model alone", "Pipeline, All, decoding included"
    seconds = interleave({alone: call_model, whole: run_pipeline}, rounds)
    for name, samples in seconds.items():
        milliseconds = [1000 * s / count for s in samples]
        yield Measurement.of(BENCH, name, "time per frame", "ms", milliseconds)
    ratios = [w / a for w, a in zip(seconds[whole], seconds[alone], strict=True)]
    yield Measurement.of(BENCH, whole, "time against the model alone", "ratio", ratios)


def _memory(clip: Path, model: VisionModel, folder: Path) -> Iterator[Measurement]:
    """How far resident memory grows over a long run with sinks, after its first tenth."""
    watch = _MemoryWatch()
    runner = Runner(model, lambda: load_policy("Interval(every=10)"), folder, watcher=watch)
    runner.run([open_source(clip, name="long")])
    settled = watch.resident[len(watch.resident) // 10 :]
    growth = tuple((resident - settled[0]) / MIB for resident in settled)
    case = f"run of {watch.frames} frames, Interval(every=10), JSON lines"
    yield Measurement(BENCH, case, "memory growth after warm-up", max(growth), "MiB", growth)


def time_demo(rounds: int, folder: Path, *words: str) -> Iterator[Measurement]:
    """How long does the demo take, from the start of its process to the end, with these options?"""
    command = [sys.executable, "-m", "streamdyn", "demo", *words, "--out"]
    outs = (str(folder / f"demo-{turn}") for turn in range(rounds))

    def demo() -> None:
        subprocess.run([*command, next(outs)], check=True, stdout=subprocess.DEVNULL)

    if rounds:
        (seconds,) = interleave({"demo": demo}, rounds, warmup=0).values()
        yield Measurement.of(BENCH, "demo", "wall time", "s", seconds)


class _MemoryWatch(Unwatched):
    """Notes the resident memory once per repeated scene."""

    def __init__(self) -> None:
        self.frames = 0
        self.resident: list[int] = []  # bytes
        self._process = psutil.Process()

    def update(self, prediction: Prediction) -> None:
        self.frames += 1
        if self.frames % SCENE_FRAMES == 0:
            self.resident.append(self._process.memory_info().rss)


def bare_decode(clip: Path) -> int:
    """Decode a file with PyAV alone, on as many threads as a source uses; return the frames."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(2, os.cpu_count() or 1)
        return sum(1 for _ in container.decode(stream))


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return parse
