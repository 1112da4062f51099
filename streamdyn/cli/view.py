"""Draw the results of a run: what was computed, the reference, and the age of each block."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamdyn.view import Panel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=Path, help="results.jsonl or .parquet of a run, or the folder it lies in"
    )
    parser.add_argument(
        "--source", metavar="VIDEO", help="what was run on (default: as the run's summary has it)"
    )
    parser.add_argument("--fps", type=float, help="frames per second of an image sequence")
    parser.add_argument(
        "-o",
        "--out",
        type=_file,
        metavar="FILE",
        help="a video, FILE.mp4, or a sheet of telling moments, FILE.png (default: view.mp4 "
        "beside the results)",
    )
    parser.add_argument(
        "--show",
        type=_panels,
        metavar="PANEL,...",
        help="panels side by side, any of frame, results, mask, reference, age; a + lays them on "
        "one another, as in results+mask (default: results,mask,reference,age)",
    )


def run(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from streamdyn.view import PANELS, Run, draw_sheet, draw_video, parse_panels

    folder = options.results if options.results.is_dir() else options.results.parent
    path = options.out or folder / "view.mp4"
    draw = draw_sheet if path.suffix == ".png" else draw_video
    opened = Run.open(options.results, options.source, fps=options.fps)
    frames = len(opened.survey.moments)
    console = Console()
    # To a file, it would leave an empty line.
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(str(path), total=frames)
        panels = options.show or parse_panels(PANELS)
        draw(opened, panels, path, lambda: progress.advance(task))
    print(f"{opened.survey.stream}: {frames} frames, drawn to {path}")
    return 0


def _file(text: str) -> Path:
    if Path(text).suffix not in (".mp4", ".png"):
        raise argparse.ArgumentTypeError(f"a view is written as .mp4 or .png, not as {text!r}")
    return Path(text)


def _panels(text: str) -> list[Panel]:
    from streamdyn.view import parse_panels

    try:
        return parse_panels(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
