"""JSON lines: one record per frame."""

from __future__ import annotations

from json import JSONEncoder
from pathlib import Path

from streamdyn.records import frame_fields, result_fields
from streamdyn.sinks.base import LineFile, Once, Sink
from streamdyn.types import Frame, Prediction


class JsonLines(Sink):
    """Writes each prediction as a line of JSON; see `streamdyn.records.record` for its fields.

    Lines are written about once a second, so a process that is killed loses no more than that.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = LineFile(Path(path))
        self._encode = JSONEncoder(ensure_ascii=False, allow_nan=False).encode
        self._result = Once(lambda result: self._encode(result_fields(result)))

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        fields = self._encode(frame_fields(prediction)).removesuffix("}")
        self._file.write(f'{fields}, "result": {self._result(prediction.result)}}}\n')

    def close(self) -> None:
        self._file.close()
