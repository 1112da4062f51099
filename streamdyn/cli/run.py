"""Run a model on sources; write one result per frame."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from streamdyn.cli.arguments import (
    add_model_arguments,
    add_source_arguments,
    load_model,
    model_spec,
    open_streams,
    parse_kinds,
    positive,
    selection_of,
)
from streamdyn.cli.quality import add_quality_arguments, quality_of
from streamdyn.defaults import POLICY
from streamdyn.errors import SinkError, SourceError, StreamdynError

if TYPE_CHECKING:
    from streamdyn.cluster.runner import ClusterRunner
    from streamdyn.quality import Quality
    from streamdyn.runner import Runner
    from streamdyn.sources import Source
    from streamdyn.sources.selection import Selection
    from streamdyn.summary import StreamSummary

    AnyRunner = Runner | ClusterRunner


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
    parser.add_argument(
        "--reconnect",
        action="store_true",
        help="never give a camera up: connect it anew when it is lost, or not there yet",
    )
    parser.add_argument(
        "--ray",
        metavar="WHERE",
        help="a process for each source, and workers that compute for all: local, auto (a cluster "
        "that runs here) or its address (default: all in one process)",
    )
    parser.add_argument("--workers", type=positive, help="with --ray: processes that compute")
    parser.add_argument(
        "--status", type=Path, metavar="FILE", help="write the figures to it as JSON, each second"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, only that")
    add_source_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run; return 1 if a stream failed."""
    from streamdyn.load import load_policy
    from streamdyn.runner import Runner

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
    runner: AnyRunner
    if options.ray:
        runner = _cluster_runner(options, folder, quality)
        named = options.model
    else:
        if options.reconnect:
            streams = [_reconnected(stream) for stream in streams]
        model = load_model(options)
        runner = Runner(
            model,
            lambda: load_policy(options.policy),
            folder,
            options.save,
            picture=options.picture,
            quality=quality,
            policy_timeout_seconds=options.policy_timeout,
        )
        named = f"{model.name} ({model.task})"
    if not options.json:
        print(f"model {named}, policy {options.policy}")
    summaries = run_streams(
        runner,
        streams,
        selection=selection_of(options),
        as_json=options.json,
        status=options.status,
    )
    return 1 if any(summary.error for summary in summaries) else 0


def run_streams(
    runner: AnyRunner,
    streams: Sequence[Source],
    *,
    selection: Selection | None = None,
    as_json: bool = False,
    status: Path | None = None,
) -> list[StreamSummary]:
    """Run streams with a progress display, and show the outcome, when interrupted as well.

    Args:
        selection: the part of each stream that is read; None: the whole.
        as_json: show the outcome as JSON, and nothing else.
        status: a file for the figures, written once a second.

    Raises:
        Interrupted: after the outcome has been shown.
    """
    from streamdyn.output import SUMMARY
    from streamdyn.runner import Interrupted

    show = _show_json if as_json else _show_table
    try:
        summaries = _run_watched(runner, streams, selection, shown=not as_json, status=status)
    except Interrupted as interrupted:
        show(runner, interrupted.summaries)
        raise
    show(runner, summaries)
    if failed := sum(summary.error is not None for summary in summaries):
        path = runner.folder / SUMMARY
        print(
            f"streamdyn: {failed} of {len(summaries)} streams failed; {path} says why",
            file=sys.stderr,
        )
    return summaries


def refuse_overwriting(folder: Path, *, allowed: bool) -> None:
    """Raise SinkError for a folder that holds something, unless it may be replaced.

    A summary by itself is of a run that gave no result; it may go.
    """
    from streamdyn.output import SUMMARY

    if folder.is_dir() and not allowed and {path.name for path in folder.iterdir()} - {SUMMARY}:
        raise SinkError(f"{folder} holds results already; give --overwrite or another --out")


def _reconnected(stream: Source) -> Source:
    from streamdyn.sources.camera import reconnecting

    try:
        live = stream.live
    except SourceError:
        live = True  # a camera that is off cannot be asked
    return reconnecting(stream) if live else stream


def _cluster_runner(
    options: argparse.Namespace, folder: Path, quality: Quality | None
) -> ClusterRunner:
    try:
        from streamdyn.cluster.runner import ClusterRunner
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise StreamdynError(
            "--ray needs ray, which is not installed; pip install 'streamdyn[ray]'"
        ) from None
    from streamdyn.specs import EngineSettings

    return ClusterRunner(
        model=model_spec(options),
        policy=options.policy,
        folder=folder,
        save=options.save,
        picture=options.picture,
        quality=quality,
        policy_timeout_seconds=options.policy_timeout,
        reconnects=options.reconnect,
        settings=EngineSettings(workers=options.workers, threads=options.threads),
        ray_address=options.ray,
    )


def _run_watched(
    runner: AnyRunner,
    streams: Sequence[Source],
    selection: Selection | None,
    *,
    shown: bool,
    status: Path | None,
) -> list[StreamSummary]:
    from rich.console import Console

    from streamdyn.cli.console import ProgressLines
    from streamdyn.progress import Unwatched
    from streamdyn.run_status import StatusWatcher
    from streamdyn.runner import Runner
    from streamdyn.status import StatusFile

    with ExitStack() as stack:
        lines = stack.enter_context(ProgressLines(Console(), selection)) if shown else Unwatched()
        if not isinstance(runner, Runner):
            return replace(runner, watcher=lines, status=status).run(streams)
        watcher = StatusWatcher(lines)
        if status:
            stack.enter_context(StatusFile(status, watcher.status))
        return replace(runner, watcher=watcher).run(streams)


def _show_table(runner: AnyRunner, summaries: Sequence[StreamSummary]) -> None:
    from rich.console import Console

    from streamdyn.cli.console import print_outcome
    from streamdyn.output import result_files

    print_outcome(Console(), summaries, result_files(runner.folder, summaries, runner.save))


def _show_json(runner: AnyRunner, summaries: Sequence[StreamSummary]) -> None:
    print(json.dumps({"streams": [summary.to_dict() for summary in summaries]}, indent=1))
