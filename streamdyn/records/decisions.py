"""Result files as the decisions that were made, without the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamdyn.blocks import BlockMask
from streamdyn.errors import SinkError
from streamdyn.records.read import Row, read_fields
from streamdyn.records.record import mask_of, reading, require_version


@dataclass(frozen=True, slots=True)
class Decision:
    """What was computed of one frame."""

    stream: str
    index: int
    pts_seconds: float
    mask: BlockMask


def read_decisions(path: str | Path) -> Iterator[Decision]:
    """Read the decisions of a result file, or of the folder of one stream, one by one.

    Raises:
        SinkError: there are no results, or (while iterating) they cannot be read or have no masks.
    """
    return _decisions(read_fields(path))


def _decisions(rows: Iterator[Row]) -> Iterator[Decision]:
    for place, frame, _ in rows:
        with reading(place):
            require_version(frame)
            stream, index = str(frame["stream"]), int(frame["index"])
            pts_seconds, mask = float(frame["pts_seconds"]), mask_of(frame)
        if mask is None:
            raise SinkError(
                f"{place} does not say which blocks were computed: CSV never does, nor does what "
                "an older streamdyn wrote; run again with --save jsonl or parquet"
            )
        yield Decision(stream, index, pts_seconds, mask)
