"""Run a model on sources; write one result per frame."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from streamdyn.cli.arguments import (
    add_model_arguments,
    add_source_arguments,
    load_model,
    open_streams,
)
from streamdyn.errors import SinkError

if TYPE_CHECKING:
    from streamdyn.models.vision import VisionModel
    from streamdyn.sources import Source
    from streamdyn.summary import StreamSummary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="file, folder, glob, .txt list, image sequence, webcam number, rtsp:// http(s):// "
        "or udp:// URL, or synthetic:NAME?option=value",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--policy",
        default="Change",
        help="what to compute: a name from `streamdyn policies`, module:Class or ./file.py:Class, "
        "with (key=value, ...) after it (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="folder for the results (default: runs/TIME)")
    parser.add_argument("--overwrite", action="store_true", help="replace results in --out")
    parser.add_argument(
        "--save",
        type=lambda text: text.split(","),
        default=["jsonl"],
        metavar="KIND,...",
        help="any of jsonl, parquet, csv, video (default: jsonl)",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, only that")
    add_source_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run; return 1 if a stream failed."""
    from streamdyn.load import load_policy

    folder = options.out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}"
    refuse_overwriting(folder, allowed=options.overwrite)
    motion = load_policy(options.policy).reads_motion
    streams = open_streams(options.sources, options, motion=motion)
    summaries = run_streams(
        streams,
        load_model(options),
        options.policy,
        folder,
        save=options.save,
        quiet=options.json,
    )
    if options.json:
        print(json.dumps({"streams": [summary.to_dict() for summary in summaries]}, indent=1))
    return 1 if any(summary.error for summary in summaries) else 0


def run_streams(
    streams: Sequence[Source],
    model: VisionModel,
    policy: str,
    folder: Path,
    *,
    save: Sequence[str],
    quiet: bool = False,
) -> list[StreamSummary]:
    """Run streams with a progress display, and show the outcome."""
    from rich.console import Console

    from streamdyn.cli.console import ProgressLines, print_outcome
    from streamdyn.load import load_policy
    from streamdyn.runner import Runner

    runner = Runner(model, lambda: load_policy(policy), folder, save)
    if quiet:
        return runner.run(streams)
    console = Console()
    with ProgressLines(console) as lines:
        summaries = replace(runner, watcher=lines).run(streams)
    print_outcome(console, summaries, folder)
    return summaries


def refuse_overwriting(folder: Path, *, allowed: bool) -> None:
    """Raise SinkError for a folder that holds something, unless it may be replaced."""
    if folder.is_dir() and any(folder.iterdir()) and not allowed:
        raise SinkError(f"{folder} holds results already; give --overwrite or another --out")
