"""The truth about a clip, to compare results with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from streamdyn.records.record import make_result, reading
from streamdyn.types import Segmentation


def load_truth(path: str | Path) -> dict[int, Segmentation]:
    """The true segmentation of frames by their index.

    The file is gzipped JSON lines, of which each holds at least `index` and `result`.

    Raises:
        SinkError: it cannot be read; names the file and the line.
    """
    truth: dict[int, Segmentation] = {}
    with reading(str(path)), gzip.open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            with reading(f"{path}, line {number},"):
                record = json.loads(line)
                result = make_result(record["result"])
                if not isinstance(result, Segmentation):
                    raise ValueError(f"the truth is a segmentation, not a {result.task}")
                truth[int(record["index"])] = result
    return truth
