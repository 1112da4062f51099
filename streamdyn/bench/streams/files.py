"""Many files at once, against a dense engine that computes all of the same files."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from streamdyn.bench.clips import SCENE_FRAMES
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.streams.alone import run_files
from streamdyn.bench.streams.dense import Dense
from streamdyn.bench.streams.fleet import Fleet
from streamdyn.bench.streams.meter import Span, farthest
from streamdyn.bench.streams.setting import BENCH, FILE_POLICY, Setting
from streamdyn.cluster.sizing import sizes
from streamdyn.specs import EngineSettings, ModelSpec

ASKED_SPEEDUP = Asked(5.0)
ASKED_BLOCKS = Asked(0.9)
COMPARED = 16  # frames: both begin with a whole picture, then ours reuses what did not change

ONE, PROCESS = "one stream", "one process, file by file"


def measure_files(setting: Setting) -> Iterator[Measurement]:
    """The throughput of all files on a cluster, and of all that it is compared with."""
    clips, cores = setting.files(setting.streams), os.cpu_count() or 1
    spec = setting.network(setting.light)
    dense = {
        f"{batch} at once": Dense(setting, setting.light, spec.dtype, batch)
        for batch in (setting.streams, 1)
    }
    model = spec.load(cores)
    default = sizes(EngineSettings(), cores)
    usual, single = _name(default.workers, default.threads), _name(cores, 1)
    spans: dict[str, list[Span]] = defaultdict(list)
    for number in range(setting.rounds):
        setting.say(f"files: round {number + 1} of {setting.rounds}")
        folder = setting.folder / f"files-{number}"
        for name, peer in dense.items():
            spans[f"{peer.name}, {name}"].append(peer.rate(clips, setting.seconds))
        for name, few, engines in (
            (usual, clips, EngineSettings()),
            (single, clips, EngineSettings(workers=cores, threads=1)),
            (ONE, clips[:1], EngineSettings()),
        ):
            spans[name].append(_on_cluster(setting, spec, f"files-{number}", few, engines))
        frames = min(SCENE_FRAMES, setting.file_frames)
        spans[PROCESS].append(run_files(model, FILE_POLICY, clips, folder / "alone", frames))
    blocks = setting.blocks(spec)
    density = _mean_blocks(spans[usual]) / blocks
    height, width = setting.size
    case = (
        f"{setting.streams} files, {setting.light} {height}x{width} {spec.dtype}, "
        f"{density:.1%} of blocks"
    )
    about = {"density": density, "density_one": _mean_blocks(spans[ONE]) / blocks}
    yield from _figures(case, spans, usual, about)
    yield _difference(setting, case, spec, dense[f"{setting.streams} at once"], clips[0])


def _figures(
    case: str, spans: Mapping[str, Sequence[Span]], usual: str, about: Mapping[str, float]
) -> Iterator[Measurement]:
    for name, found in spans.items():
        rates = [span.rate for span in found]
        yield Measurement.of(BENCH, case, f"frame rate, {name}", "frames/s", rates, about=about)
    dense = [name for name in spans if name.startswith("OpenVINO")]
    fastest = [
        max(rates) for rates in zip(*([s.rate for s in spans[n]] for n in dense), strict=True)
    ]
    speedups = [ours.rate / theirs for ours, theirs in zip(spans[usual], fastest, strict=True)]
    yield Measurement.of(
        BENCH, case, "speed-up over the fastest of OpenVINO", "x", speedups, asked=ASKED_SPEEDUP,
        about=about,
    )  # fmt: skip
    ratios = [a.block_rate / b.block_rate for a, b in zip(spans[usual], spans[ONE], strict=True)]
    yield Measurement.of(
        BENCH, case, "blocks per second, over those of one stream", "ratio", ratios,
        asked=ASKED_BLOCKS, about=about,
    )  # fmt: skip


def _on_cluster(
    setting: Setting, spec: ModelSpec, folder: str, clips: Sequence[Path], engines: EngineSettings
) -> Span:
    name = f"{folder}/{len(clips)}-{engines.workers or 'default'}"
    with Fleet(setting, name, spec, FILE_POLICY, engines) as fleet:
        fleet.start(clips)
        return fleet.steady(setting.seconds)


def _difference(
    setting: Setting, case: str, spec: ModelSpec, dense: Dense, clip: Path
) -> Measurement:
    """How far the scores of blocks are from those of whole pictures by the peer."""
    with Fleet(setting, "files-scores", spec, FILE_POLICY, keep=COMPARED) as fleet:
        (name,) = fleet.add([clip], max_frames=COMPARED)
        fleet.supervisor.wait()
    far = farthest(fleet.meter.results(name), dense.results(clip, COMPARED))
    metric = f"largest difference of scores from OpenVINO's in {COMPARED} frames"
    return Measurement.of(BENCH, case, metric, "1", [far])


def _mean_blocks(spans: Sequence[Span]) -> float:
    return sum(span.blocks for span in spans) / sum(span.frames for span in spans)


def _name(workers: int, threads: int) -> str:
    return f"{workers} worker{'s' * (workers > 1)} of {threads} thread{'s' * (threads > 1)}"
