"""Annotated video."""

from __future__ import annotations

from pathlib import Path

from streamdyn.overlay import draw
from streamdyn.sinks.base import Sink
from streamdyn.sinks.mp4 import Mp4
from streamdyn.types import Frame, Prediction


class Video(Sink):
    """Writes the frames with their predictions drawn on them, as `Mp4` does.

    Each frame is shown when its source shows it.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = Mp4(path)

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        self._file.write(draw(frame.image, prediction), frame.pts_seconds)

    def close(self) -> None:
        self._file.close()
