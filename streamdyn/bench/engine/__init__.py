"""Block-sparse computation against the fastest dense peer installed.

Random masks by density, masks of real clips, many streams in one call, set-up and memory.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from streamdyn.bench.engine.agreement import measure_agreement
from streamdyn.bench.engine.clips import measure_clips
from streamdyn.bench.engine.densities import Densities, measure_densities
from streamdyn.bench.engine.memory import measure_memory
from streamdyn.bench.engine.setup import measure_setup
from streamdyn.bench.engine.streams import measure_streams
from streamdyn.bench.engine.subject import Setting, Subject, onnx_file, published
from streamdyn.bench.harness import Measurement
from streamdyn.bench.networks import NETWORKS
from streamdyn.bench.peers import PEERS
from streamdyn.bench.plot import draw_speedups
from streamdyn.bench.report import machine_line
from streamdyn.engine.cpu.crew import crew
from streamdyn.engine.cpu.rows import supports

CLIPS = ("bottle-detection.mp4", "car-detection.mp4", "asl-help.mkv")
DETECTOR = "fastestdet.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=["resnet50", "resnet18", "mobilenetv2"],
        help="with random weights; the first is also measured on clips, with many streams, and "
        "for set-up and memory (default: %(default)s)",
    )
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--block", type=int, default=32, help="side in pixels (default: 32)")
    parser.add_argument("--rounds", type=int, default=9, help="of each figure (default: 9)")
    parser.add_argument(
        "--threads",
        type=int,
        help="of every contender (default: one per processor, and no more than 16)",
    )
    parser.add_argument(
        "--peers", nargs="+", choices=PEERS, default=list(PEERS), help="default: all of them"
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=os.environ.get("STREAMDYN_MODELS"),
        help=f"folder with {DETECTOR} (default: that of STREAMDYN_MODELS)",
    )
    parser.add_argument(
        "--clips",
        type=Path,
        nargs="+",
        metavar="FILE",
        default=_default_clips(),
        help=f"video files (default: {', '.join(CLIPS)} in the folder of STREAMDYN_MEDIA)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture (PNG)")
    parser.add_argument(
        "--quick", action="store_true", help="small and short: a trial, not a measurement"
    )


def run(options: argparse.Namespace) -> list[Measurement]:
    """Measure all of it; what cannot be measured here is named on stderr."""
    setting = _setting(options)
    if not supports(setting.dtype):
        setting.say(f"this processor has no instructions for {setting.dtype}: expect it to be slow")
    found: list[Measurement] = []
    measured: list[Densities] = []
    for number, name in enumerate(options.networks):
        setting.say(f"{name}: making it ready")
        subject = published(name, setting)
        measured.append(measure_densities(subject, setting))
        found += [*measured[-1].figures, *measure_agreement(subject)]
        if number == 0:
            found += _more(subject, measured[-1].fastest, options.clips, setting)
    if options.models and (options.models / DETECTOR).is_file():
        setting.say(f"{DETECTOR}: making it ready")
        subject = onnx_file(options.models / DETECTOR, setting)
        measured.append(measure_densities(subject, setting))
        found += [*measured[-1].figures, *measure_agreement(subject)]
    else:
        setting.say(f"without {DETECTOR}: name its folder with --models")
    if options.plot:
        draw_speedups([each.panel() for each in measured], machine_line(), options.plot)
    return found


def _more(subject: Subject, fastest: str, clips: list[Path], setting: Setting) -> list[Measurement]:
    """What is measured of one network alone."""
    setting.say(f"{subject.name}: many streams, memory, clips, set-up")
    if not setting.setups:
        setting.say("without set-up, which takes a while")
    if not clips:
        setting.say("without masks of real clips: name some with --clips")
    return [
        *measure_streams(subject, setting),
        *measure_memory(subject),
        *measure_clips(subject, fastest, clips, setting),
        *measure_setup(subject.name, setting),
    ]


def _setting(options: argparse.Namespace) -> Setting:
    quick = options.quick
    return Setting(
        dtype=options.dtype,
        block=options.block,
        threads=options.threads or crew().threads,
        rounds=2 if quick else options.rounds,
        warmup=1 if quick else 2,
        size=(96, 160) if quick else (448, 768),
        detector_size=(352, 352) if quick else (704, 704),
        peers=options.peers,
        turn_seconds=0.0 if quick else 0.05,
        masks=2 if quick else 8,
        streams=2 if quick else 8,
        clip_frames=20 if quick else 150,
        setups=0 if quick else 3,
        say=lambda text: print(text, file=sys.stderr),
    )


def _default_clips() -> list[Path]:
    folder = os.environ.get("STREAMDYN_MEDIA")
    return [Path(folder) / clip for clip in CLIPS] if folder else []
