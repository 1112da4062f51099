"""Many streams on a cluster: throughput, age of results, and what happens when things break.

Cameras are clips that GStreamer serves by RTSP on this machine; files are synthetic streets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from streamdyn.bench.cameras.rtsp import require_rtsp_server
from streamdyn.bench.harness import Measurement
from streamdyn.bench.report import machine_line
from streamdyn.bench.streams.files import measure_files
from streamdyn.bench.streams.heavy import measure_heavy
from streamdyn.bench.streams.killed import measure_killed
from streamdyn.bench.streams.live import measure_live
from streamdyn.bench.streams.outage import measure_outages
from streamdyn.bench.streams.plot import draw_margins
from streamdyn.bench.streams.setting import Setting
from streamdyn.bench.streams.soak import measure_soak

JOBS: Mapping[str, Callable[[Setting], Iterator[Measurement]]] = {
    "heavy": measure_heavy,
    "files": measure_files,
    "live": measure_live,
    "outage": measure_outages,
    "killed": measure_killed,
    "soak": measure_soak,
}
USUAL = tuple(name for name in JOBS if name != "soak")
CAMERAS = {"live", "outage", "soak"}  # need a server of cameras


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        type=_jobs,
        default=USUAL,
        metavar="NAME,...",
        help=f"of {', '.join(JOBS)} (default: all but soak, which takes half an hour)",
    )
    parser.add_argument("--streams", type=int, default=8, help="at once (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="of each throughput (default: 3)")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="of the soak (default: %(default)g)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a picture (PNG)")
    parser.add_argument(
        "--quick", action="store_true", help="small and short: a trial, not a measurement"
    )


def run(options: argparse.Namespace) -> list[Measurement]:
    """Run the jobs that are asked for, one after the other."""
    if CAMERAS.intersection(options.only):
        require_rtsp_server()
    found: list[Measurement] = []
    with TemporaryDirectory(prefix="streamdyn-") as folder:
        setting = _setting(options, Path(folder))
        for name in options.only:
            found += JOBS[name](setting)
    if options.plot:
        draw_margins(found, machine_line(), options.plot)
    return found


def _setting(options: argparse.Namespace, folder: Path) -> Setting:
    shared = Setting(
        folder=folder,
        say=lambda text: print(text, file=sys.stderr, flush=True),
        streams=options.streams,
        rounds=options.rounds,
        soak_minutes=options.minutes,
    )
    return shared.quick() if options.quick else shared


def _jobs(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in JOBS]:
        raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; choose of {', '.join(JOBS)}")
    return names
