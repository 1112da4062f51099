"""Parquet: one row per frame, in row groups."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from streamdyn.records import frame_fields, result_fields
from streamdyn.records.columns import pa, parquet, schema
from streamdyn.records.record import Fields
from streamdyn.sinks.base import Once, Sink, one_task, writing
from streamdyn.types import Frame, Prediction, Task


class Parquet(Sink):
    """Writes the predictions of one task as rows of a Parquet file.

    The file is whole once closed, after an error elsewhere too; a process that is killed, or a
    disk that is full, leaves one that cannot be read.
    """

    wants_frame = False
    ROWS = 512  # in a row group, which waits in memory until it is full

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._task: Task | None = None
        self._rows: list[Fields] = []
        self._result = Once(result_fields)
        self._writer: parquet.ParquetWriter | None = None
        with writing(self.path):
            self._file = self.path.open("wb")

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        task = prediction.result.task
        if self._task is None:
            self._task = task
        elif task != self._task:
            raise one_task(self.path, self._task, task)
        self._rows.append(frame_fields(prediction) | self._result(prediction.result))
        if len(self._rows) == self.ROWS:
            self._write_rows()

    def close(self) -> None:
        if not self._file.closed:
            self._write_rows(last=True)

    def _write_rows(self, *, last: bool = False) -> None:
        columns = schema(self._task)
        table = pa.Table.from_pylist(self._rows, columns)
        self._rows.clear()
        with writing(self.path):
            try:
                self._writer = self._writer or parquet.ParquetWriter(
                    self._file, columns, compression="zstd"
                )
                self._writer.write_table(table)
                if last:
                    self._writer.close()
                    self._file.close()
            except OSError:
                if self._writer:
                    self._writer.is_open = False  # or it would write again when it is collected
                with suppress(OSError):
                    self._file.close()
                raise
