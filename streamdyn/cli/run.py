"""Run a model on sources; write one result per frame."""

from __future__ import annotations

import argparse
import json
import sys
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
    parse_kinds,
    selection_of,
)
from streamdyn.cli.quality import add_quality_arguments, quality_of
from streamdyn.defaults import POLICY, POLICY_TIMEOUT_SECONDS
from streamdyn.errors import SinkError

if TYPE_CHECKING:
    from streamdyn.models.vision import VisionModel
    from streamdyn.quality import Quality
    from streamdyn.runner import Runner
    from streamdyn.sources import Source
    from streamdyn.sources.selection import Selection
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
        default=POLICY,
        help="what to compute: a name from `streamdyn policies`, module:Class or ./file.py:Class, "
        "with (key=value, ...) after it; A & B, A | B (default: %(default)s)",
    )
    add_quality_arguments(parser)
    parser.add_argument("--out", type=Path, help="folder for the results (default: runs/TIME)")
    parser.add_argument("--overwrite", action="store_true", help="replace results in --out")
    parser.add_argument(
        "--save",
        type=parse_kinds,
        default=["jsonl"],
        metavar="KIND,...",
        help="any of jsonl, parquet, csv, video, and mqtt(s):// or http(s):// URLs to send results "
        "to, with %%2C for a comma (default: jsonl)",
    )
    parser.add_argument(
        "--picture", action="store_true", help="draw overview.png: some frames, density over time"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, only that")
    add_source_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run; return 1 if a stream failed."""
    from streamdyn.load import load_policy

    folder = options.out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}"
    refuse_overwriting(folder, allowed=options.overwrite)
    policy, quality = load_policy(options.policy), quality_of(options)
    if quality:
        quality.require_threshold(policy)
    draws = options.picture or "video" in options.save  # and so reads the pixels of every frame
    streams = open_streams(
        options.sources,
        options,
        motion=policy.reads_motion,
        key_frames=policy.only_key_frames and not draws and not quality,
    )
    model = load_model(options)
    if not options.json:
        print(f"model {model.name} ({model.task}), policy {options.policy}")
    summaries = run_streams(
        streams,
        model,
        options.policy,
        folder,
        save=options.save,
        picture=options.picture,
        quality=quality,
        policy_timeout_seconds=options.policy_timeout,
        selection=selection_of(options),
        as_json=options.json,
    )
    return 1 if any(summary.error for summary in summaries) else 0


def run_streams(
    streams: Sequence[Source],
    model: VisionModel,
    policy: str,
    folder: Path,
    *,
    save: Sequence[str],
    picture: bool,
    quality: Quality | None = None,
    policy_timeout_seconds: float = POLICY_TIMEOUT_SECONDS,
    selection: Selection | None = None,
    as_json: bool = False,
) -> list[StreamSummary]:
    """Run streams with a progress display, and show the outcome, when interrupted as well.

    Args:
        quality: what to hold each stream at.
        selection: the part of each stream that is read; None: the whole.
        as_json: show the outcome as JSON, and nothing else.

    Raises:
        Interrupted: after the outcome has been shown.
    """
    from streamdyn.load import load_policy
    from streamdyn.runner import SUMMARY, Interrupted, Runner

    runner = Runner(
        model,
        lambda: load_policy(policy),
        folder,
        save,
        picture=picture,
        quality=quality,
        policy_timeout_seconds=policy_timeout_seconds,
    )
    show = _show_json if as_json else _show_table
    try:
        summaries = runner.run(streams) if as_json else _run_shown(runner, streams, selection)
    except Interrupted as interrupted:
        show(runner, interrupted.summaries)
        raise
    show(runner, summaries)
    if failed := sum(summary.error is not None for summary in summaries):
        print(
            f"streamdyn: {failed} of {len(summaries)} streams failed; {folder / SUMMARY} says why",
            file=sys.stderr,
        )
    return summaries


def refuse_overwriting(folder: Path, *, allowed: bool) -> None:
    """Raise SinkError for a folder that holds something, unless it may be replaced.

    A summary by itself is of a run that gave no result; it may go.
    """
    from streamdyn.runner import SUMMARY

    if folder.is_dir() and not allowed and {path.name for path in folder.iterdir()} - {SUMMARY}:
        raise SinkError(f"{folder} holds results already; give --overwrite or another --out")


def _run_shown(
    runner: Runner, streams: Sequence[Source], selection: Selection | None
) -> list[StreamSummary]:
    from rich.console import Console

    from streamdyn.cli.console import ProgressLines

    with ProgressLines(Console(), selection) as lines:
        return replace(runner, watcher=lines).run(streams)


def _show_table(runner: Runner, summaries: Sequence[StreamSummary]) -> None:
    from rich.console import Console

    from streamdyn.cli.console import print_outcome

    print_outcome(Console(), summaries, runner.files(summaries))


def _show_json(runner: Runner, summaries: Sequence[StreamSummary]) -> None:
    print(json.dumps({"streams": [summary.to_dict() for summary in summaries]}, indent=1))
