"""Predictions as lines of JSON."""

from __future__ import annotations

from json import JSONEncoder

from streamdyn.records import frame_fields, result_fields
from streamdyn.sinks.base import Once
from streamdyn.types import Prediction


class Lines:
    """Makes the line of each prediction of a stream; see `streamdyn.records.record`."""

    def __init__(self) -> None:
        self._encode = JSONEncoder(ensure_ascii=False, allow_nan=False).encode
        self._result = Once(lambda result: self._encode(result_fields(result)))

    def __call__(self, prediction: Prediction) -> str:
        """The line, without the line break at its end."""
        fields = self._encode(frame_fields(prediction)).removesuffix("}")
        return f'{fields}, "result": {self._result(prediction.result)}}}'


def to_utf8(text: str) -> bytes:
    """Encode JSON; a lone surrogate, as in a file name that is not UTF-8, becomes its escape."""
    return text.encode("utf-8", "backslashreplace")
