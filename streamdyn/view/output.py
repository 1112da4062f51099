"""Draws a run as a video, or as a sheet of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from streamdyn.overlay.status import clock, paint_strip, strip_height
from streamdyn.sinks import make_folder, writing
from streamdyn.sinks.mp4 import Mp4
from streamdyn.types import Frame, Prediction
from streamdyn.view.history import History
from streamdyn.view.layout import GAP, Layout, columns_of
from streamdyn.view.panels import Canvas, Panel, Scene
from streamdyn.view.run import Run

Watch = Callable[[], object]  # called for each frame


def draw_video(run: Run, panels: Sequence[Panel], path: Path, watch: Watch = lambda: None) -> None:
    """Write the panels of every frame as a video, with a line that says what was done.

    Raises:
        SinkError: the file cannot be written.
        SourceError: the source is another one, or cannot be read.
    """
    make_folder(path.parent)
    layout: Layout | None = None
    with closing(Mp4(path)) as file:
        for frame, prediction, history in _histories(run):
            if layout is None:
                layout = _layout(run, panels, frame.size, columns_of(len(panels), frame.size))
            drawn = _draw(layout, frame, prediction, history)
            rows = [part for row in range(layout.rows) for part in _row(layout, row, drawn)]
            strip = layout.blank(strip_height(layout.text))
            paint_strip(strip, prediction, layout.text)
            file.write(np.concatenate([*rows, layout.blank(GAP), strip]), frame.pts_seconds)
            watch()


def draw_sheet(run: Run, panels: Sequence[Panel], path: Path, watch: Watch = lambda: None) -> None:
    """Write the panels of telling moments below each other, as a PNG.

    Raises:
        SinkError: the file cannot be written.
        SourceError: the source is another one, or cannot be read.
    """
    make_folder(path.parent)
    telling = run.survey.telling()
    indices = [moment.index for moment in run.survey.moments]
    last = indices.index(max(telling)) + 1
    parts: list[Canvas] = []
    layout: Layout | None = None
    for frame, prediction, history in islice(_histories(run), last):
        watch()
        if prediction.index not in telling:
            continue
        if layout is None:
            layout = _layout(run, panels, frame.size, len(panels))
            parts.append(layout.titles(0))
        drawn = _draw(layout, frame, prediction, history)
        when = f"{clock(prediction.pts_seconds)}   #{prediction.index}"
        parts += [layout.caption(when, telling[prediction.index]), layout.pictures(0, drawn)]
    assert layout is not None, "there is a telling moment, and its frame was drawn"
    _write_png(np.concatenate([*parts, layout.blank(GAP)]), path)


def _histories(run: Run) -> Iterator[tuple[Frame, Prediction, History]]:
    """Frames with their predictions, and what the stream knew after each."""
    history = History()
    for frame, prediction in run.pairs():
        assert prediction.mask is not None, "the survey refuses results without masks"
        history.advance(frame, prediction.mask)
        yield frame, prediction, history


def _layout(run: Run, panels: Sequence[Panel], size: tuple[int, int], columns: int) -> Layout:
    longest = run.survey.longest
    return Layout(panels, size, columns, (longest.oldest_frames, longest.oldest_seconds))


def _draw(layout: Layout, frame: Frame, prediction: Prediction, history: History) -> list[Canvas]:
    scene = Scene.of(frame, prediction, history, layout.size, layout.longest[0])
    return [scene.draw(panel) for panel in layout.panels]


def _row(layout: Layout, row: int, drawn: Sequence[Canvas]) -> tuple[Canvas, Canvas]:
    return layout.titles(row), layout.pictures(row, drawn)


def _write_png(picture: Canvas, path: Path) -> None:
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    with writing(path):
        path.write_bytes(encoded.tobytes())
