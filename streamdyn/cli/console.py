"""What a run shows: a line per stream that moves while it runs, and a table at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from streamdyn.errors import SourceError
from streamdyn.sources import Source, SourceInfo
from streamdyn.sources.selection import Selection
from streamdyn.summary import StreamSummary, table
from streamdyn.types import Prediction

REFRESH_SECONDS = 0.1


@dataclass(slots=True)
class _Line:
    """The line of one stream."""

    task: TaskID
    started: float
    shown: float
    frames: int = 0
    densities: float = 0.0
    first_pts: float | None = None


class ProgressLines:
    """Shows each stream as a line: frames, rate, density, age, and for files the time left."""

    def __init__(self, console: Console, selection: Selection | None = None) -> None:
        self._console = console
        self._selection = selection or Selection()
        self._lines: dict[str, _Line] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,  # or it leaves an empty line
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def start(self, source: Source) -> None:
        now = perf_counter()
        task = self._progress.add_task(source.name, total=None, figures="opening")
        self._lines[source.name] = _Line(task, started=now, shown=now)
        with suppress(SourceError):  # told by the run itself
            if source.live:  # not opened to describe it: many a camera serves one client only
                told = f"{source.url}, live ({source.live_reason})"
            else:
                info = source.info()
                told = describe(info)
                self._progress.update(task, total=expected_seconds(info, self._selection))
            self._console.print(f"{source.name}: {told}", highlight=False, soft_wrap=True)

    def update(self, prediction: Prediction) -> None:
        line = self._lines[prediction.stream]
        line.frames += 1
        line.densities += prediction.density
        if line.first_pts is None:
            line.first_pts = prediction.pts_seconds
        now = perf_counter()
        if now - line.shown < REFRESH_SECONDS:
            return
        line.shown = now
        rate = line.frames / (now - line.started)
        density = line.densities / line.frames
        self._progress.update(
            line.task,
            completed=prediction.pts_seconds - line.first_pts,
            figures=f"{line.frames} frames  {rate:.1f} fps  density {density:.1%}"
            f"  age {prediction.age_seconds:.2f} s",
        )

    def finish(self, summary: StreamSummary) -> None:
        self._progress.remove_task(self._lines[summary.stream].task)


def describe(info: SourceInfo) -> str:
    """A source in one line. What its header claims is marked with a ~: nothing relies on it."""
    height, width = info.size
    facts = [f"{info.url}, {'live' if info.live else 'file'} ({info.live_reason})"]
    facts.append(f"{width}x{height} px")
    if info.codec:
        facts.append(" ".join(filter(None, (info.codec, info.pixel_format))))
    if info.claimed_fps:
        facts.append(f"~{info.claimed_fps:.4g} fps")
    if info.claimed_seconds:
        facts.append(f"~{info.claimed_seconds:.1f} s")
    return ", ".join(facts)


def expected_seconds(info: SourceInfo, selection: Selection) -> float | None:
    """How long the chosen part of a source is, if its header is right; None: it does not tell."""
    if info.claimed_seconds is None:
        return None
    seconds = max(info.claimed_seconds - selection.start, 0.0)
    if selection.duration is not None:
        seconds = min(seconds, selection.duration)
    if selection.max_frames is not None:
        if not info.claimed_fps:
            return None
        rate = min(info.claimed_fps / selection.stride, selection.max_fps or math.inf)
        seconds = min(seconds, selection.max_frames / rate)
    return seconds


def print_outcome(
    console: Console, summaries: Sequence[StreamSummary], files: Sequence[Path]
) -> None:
    """Show the table of the streams, what went wrong, and where everything lies."""
    if summaries:
        console.print(table(summaries))
    for path in files:
        console.print(f"  {path}", highlight=False, soft_wrap=True)
