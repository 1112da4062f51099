"""Result files back to predictions."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import AnyStr

from streamdyn.errors import SinkError
from streamdyn.records.record import Fields, make_prediction, make_result, reading
from streamdyn.records.rows import frame_of, from_entries
from streamdyn.types import Prediction, Result

log = logging.getLogger(__name__)

# What a folder of results may hold, by kind; the first that is there is read.
RESULT_FILES = {"jsonl": "results.jsonl", "parquet": "results.parquet", "csv": "results.csv"}

Row = tuple[str, Fields, Fields]  # where it stands, the fields of the frame, those of the result


def load_results(path: str | Path) -> list[Prediction]:
    """Read all predictions of a result file, or of the folder of one stream.

    Raises:
        SinkError: there are no results, or they cannot be read; it names the file and the line.
    """
    return list(read_results(path))


def read_results(path: str | Path) -> Iterator[Prediction]:
    """Read predictions one by one, as `load_results` does, in little memory.

    A last line that does not end is left out, with a warning: its writer was killed meanwhile.

    Raises:
        SinkError: there are no results, or (while iterating) they cannot be read.
    """
    return _predictions(read_fields(path))


def read_fields(path: str | Path) -> Iterator[Row]:
    """Where each record of a result file stands, the fields of its frame, and of its result.

    Raises:
        SinkError: as `read_results` does.
    """
    path = _find(Path(path))
    return _read(path, _READERS[path.suffix](path))


def _find(path: Path) -> Path:
    """The result file that a path means."""
    if path.is_dir():
        for name in RESULT_FILES.values():
            if (path / name).is_file():
                return path / name
        streams = sorted({str(file.parent) for file in path.glob("*/results.*")})
        hint = f"; give one of {', '.join(streams)}" if streams else ""
        raise SinkError(f"no {', '.join(RESULT_FILES.values())} in {path}{hint}")
    if not path.exists():
        raise SinkError(f"there is no {path}")
    if path.suffix not in _READERS:
        raise SinkError(f"{path} is not a result file: those end in {', '.join(_READERS)}")
    return path


def _read(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    while True:
        with reading(str(path)):
            row = next(rows, None)
        if row is None:
            return
        yield row


def _predictions(rows: Iterator[Row]) -> Iterator[Prediction]:
    last: tuple[Fields, Result] | None = None
    for place, frame, fields in rows:
        with reading(place):
            # A reused result is made once, and shared as it was when it was written.
            if last is None or fields != last[0]:
                last = fields, make_result(fields)
            prediction = make_prediction(frame, last[1])
        yield prediction


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for number, line in enumerate(_whole_lines(path, file, b"\n"), 1):
            place = f"{path}, line {number},"
            with reading(place):
                record = json.loads(line)
                row = place, record, record["result"]
            yield row


def _read_csv(path: Path) -> Iterator[Row]:
    # The run lengths of a large, detailed picture are longer than the module's limit for a cell.
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 30))
    with path.open(encoding="utf-8", newline="\n") as file:
        reader = csv.DictReader(_whole_lines(path, file, "\n"), strict=True)
        numbered = ((reader.line_num, row) for row in reader)
        for _, group in groupby(numbered, lambda item: (item[1]["stream"], item[1]["index"])):
            lines = list(group)
            place = f"{path}, line {lines[0][0]},"
            rows = [row for _, row in lines]
            with reading(place):
                frame, fields = frame_of(rows[0]), from_entries(rows)
            yield place, frame, fields


def _read_parquet(path: Path) -> Iterator[Row]:
    from streamdyn.records.columns import read_rows

    for number, (frame, fields) in enumerate(read_rows(path), 1):
        yield f"{path}, row {number},", frame, fields


def _whole_lines(path: Path, lines: Iterable[AnyStr], end: AnyStr) -> Iterator[AnyStr]:
    """The lines that end: a process that is killed may leave one that does not."""
    for line in lines:
        if not line.endswith(end):
            log.warning("%s is cut off; its last line is left out", path)
            return
        yield line


_READERS = {".jsonl": _read_jsonl, ".parquet": _read_parquet, ".csv": _read_csv}
