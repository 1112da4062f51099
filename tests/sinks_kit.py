"""What tests feed to sinks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from streamdyn import Detections, Frame, Prediction
from streamdyn.sinks import Sink
from streamdyn.types import Result
from tests.predictions_kit import a_prediction

ROOT = Path(__file__).parents[1]  # from where `command` runs
FILES = ["jsonl", "csv", "parquet"]


def frame(index: int, pts_seconds: float, size: tuple[int, int] = (64, 96)) -> Frame:
    image = np.full((*size, 3), index * 20 % 256, np.uint8)
    return Frame.from_image(image, index=index, pts_seconds=pts_seconds, stream="cam")


def boxes(count: int = 2) -> Detections:
    corners = np.linspace(0, 60, count * 4, dtype=np.float32).reshape(count, 4)
    return Detections(corners, corners[:, 0] / 64, np.arange(count), ("a, b",) * count)


def prediction_of(frame: Frame, result: Result) -> Prediction:
    where = {"stream": frame.stream, "pts_seconds": frame.pts_seconds}
    return a_prediction(result, frame.index, density=1.0, share=1.0, **where)


def feed(sink: Sink, count: int = 3, result: Result | None = None) -> None:
    for index in range(count):
        shown = frame(index, index / 25)
        sink(prediction_of(shown, boxes() if result is None else result), shown)


def feed_and_stop(sink: Sink, count: int = 3) -> None:
    """What happens when the user presses Ctrl-C."""
    with sink:
        feed(sink, count)
        raise KeyboardInterrupt


def command(function: Callable[..., None], *arguments: str) -> list[str]:
    """The command that calls a function of a test module in a process of its own."""
    name = function.__name__
    code = f"import sys; from {function.__module__} import {name}; {name}(*sys.argv[1:])"
    return [sys.executable, "-W", "error", "-c", code, *arguments]
