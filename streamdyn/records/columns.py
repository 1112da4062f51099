"""Predictions as rows of a Parquet file: the fields of a record, those of its result beside them.

Raises:
    SinkError: on import, where pyarrow is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streamdyn.errors import SinkError
from streamdyn.records.record import Fields
from streamdyn.types import Task

try:
    import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
    from pyarrow import parquet
except ModuleNotFoundError:
    raise SinkError("Parquet needs pyarrow: pip install 'streamdyn[parquet]'") from None

__all__ = ["pa", "parquet", "read_rows", "schema"]

_MASK = pa.struct(
    {
        "grid": pa.list_(pa.int32()),
        "picture": pa.list_(pa.int32()),
        "counts": pa.string(),
    }
)
_FRAME = {
    "version": pa.int32(),
    "stream": pa.string(),
    "index": pa.int64(),
    "pts_seconds": pa.float64(),
    "status": pa.string(),
    "age_frames": pa.int64(),
    "age_seconds": pa.float64(),
    "density": pa.float64(),
    "share": pa.float64(),
    "latency_seconds": pa.float64(),
    "fault": pa.string(),
    "audit_index": pa.int64(),
    "audit_agreement": pa.float64(),
    "mask": _MASK,
}
_SCORED = {
    "task": pa.string(),
    "labels": pa.list_(pa.int64()),
    "names": pa.list_(pa.string()),
    "scores": pa.list_(pa.float32()),
}
_RLE = pa.struct({"size": pa.list_(pa.int32()), "counts": pa.string()})
_SEGMENT = pa.struct({"label": pa.int32(), "name": pa.string(), "area": pa.int64(), "rle": _RLE})
_RESULT: dict[Task, dict[str, pa.DataType]] = {
    "recognition": _SCORED,
    "detection": _SCORED | {"boxes": pa.list_(pa.list_(pa.float32()))},
    "segmentation": {
        "task": pa.string(),
        "size": pa.list_(pa.int32()),
        "classes": pa.list_(pa.string()),
        "segments": pa.list_(_SEGMENT),
    },
}


def schema(task: Task | None) -> pa.Schema:
    """The columns of a file of results of one task, or of none at all (None)."""
    return pa.schema(_FRAME | (_RESULT[task] if task else {}))


def read_rows(path: Path) -> Iterator[tuple[Fields, Fields]]:
    """The fields of each frame of a file, and those of its result."""
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                yield {name: row.pop(name) for name in _FRAME if name in row}, row
