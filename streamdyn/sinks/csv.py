"""CSV: one row per box, segment or class, with the columns of its frame on each."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from streamdyn.records import frame_fields, result_fields
from streamdyn.records.rows import FRAME_COLUMNS, header, to_entries
from streamdyn.sinks.base import LineFile, Once, Sink, one_task
from streamdyn.types import Frame, Prediction, Result, Task


class Csv(Sink):
    """Writes the predictions of one task as rows; a frame in which nothing is found gets one.

    Lines are written about once a second, so a process that is killed loses no more than that.
    """

    wants_frame = False

    def __init__(self, path: str | Path) -> None:
        self._file = LineFile(Path(path))
        self._task: Task | None = None
        self._entries = Once(_entry_lines)

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        task = prediction.result.task
        if self._task is None:
            self._task = task
            self._file.write(_line(header(task)))
        elif task != self._task:
            raise one_task(self._file.path, self._task, task)
        fields = frame_fields(prediction)
        start = _line(fields.get(name) for name in FRAME_COLUMNS).removesuffix("\n")
        lines = (f"{start},{entry}" for entry in self._entries(prediction.result))
        self._file.write("".join(lines))

    def close(self) -> None:
        self._file.close()


def _entry_lines(result: Result) -> list[str]:
    return [_line(entry) for entry in to_entries(result_fields(result))]


def _line(cells: Iterable[Any]) -> str:
    text = StringIO()
    csv.writer(text).writerow(cells)  # quotes what holds either end of line, \r or \n
    return text.getvalue().removesuffix("\r\n") + "\n"
