"""JSON lines: one record per frame."""

from __future__ import annotations

from pathlib import Path

from streamdyn.sinks.base import LineFile, Sink
from streamdyn.sinks.line import Lines
from streamdyn.types import Frame, Prediction


class JsonLines(Sink):
    """Writes each prediction as a line of JSON; see `streamdyn.records.record` for its fields.

    Lines are written about once a second, so a process that is killed loses no more than that.
    """

    wants_frame = False

    def __init__(self, path: str | Path) -> None:
        self._file = LineFile(Path(path))
        self._line = Lines()

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        self._file.write(f"{self._line(prediction)}\n")

    def close(self) -> None:
        self._file.close()
