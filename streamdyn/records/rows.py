"""Results as rows of cells, for CSV: one per box, segment or class, one for a frame with none.

The columns of the frame come first, and are repeated on each of its rows. A cell of what is not
known (or not a number) is empty; a row without a label says that nothing was found.
"""

from __future__ import annotations

import json
from typing import Any

from streamdyn.records.record import Fields
from streamdyn.types import Task

FRAME_COLUMNS = (
    "stream",
    "index",
    "pts_seconds",
    "status",
    "age_frames",
    "age_seconds",
    "density",
    "share",
    "latency_seconds",
    "fault",
    "audit_index",
    "audit_agreement",
)
_ENTRY_COLUMNS: dict[Task, tuple[str, ...]] = {
    "recognition": ("label", "name", "score"),
    "detection": ("label", "name", "score", "x1", "y1", "x2", "y2"),
    # classes: the names of all classes as a JSON list, on the first row of a frame only.
    "segmentation": ("label", "name", "area", "height", "width", "classes", "counts"),
}

Row = dict[str, str]  # the cells of a row by column


def header(task: Task) -> list[str]:
    """The names of the columns."""
    return [*FRAME_COLUMNS, "task", *_ENTRY_COLUMNS[task]]


def to_entries(fields: Fields) -> list[list[Any]]:
    """The fields of a result as rows, from the column `task` on."""
    task: Task = fields["task"]
    match task:
        case "recognition":
            entries = zip(fields["labels"], fields["names"], fields["scores"], strict=True)
            rows = [[task, *entry] for entry in entries]
        case "detection":
            entries = zip(fields["labels"], fields["names"], fields["scores"], strict=True)
            boxes = fields["boxes"]
            rows = [[task, *entry, *box] for entry, box in zip(entries, boxes, strict=True)]
        case "segmentation":
            classes = json.dumps(fields["classes"], ensure_ascii=False)
            rows = [
                [task, s["label"], s["name"], s["area"], *fields["size"], "", s["rle"]["counts"]]
                for s in fields["segments"]
            ]
            rows[0][header(task).index("classes") - len(FRAME_COLUMNS)] = classes
    return rows or [[task, *[None] * len(_ENTRY_COLUMNS[task])]]


def from_entries(rows: list[Row]) -> Fields:
    """The inverse of `to_entries`, given all rows of a frame."""
    task = rows[0]["task"]
    found = [row for row in rows if row["label"]]
    if task == "segmentation":
        size = [int(rows[0]["height"]), int(rows[0]["width"])]
        return {
            "task": task,
            "size": size,
            "classes": json.loads(rows[0]["classes"]),
            "segments": [
                {
                    "label": int(row["label"]),
                    "name": row["name"],
                    "area": int(row["area"]),
                    "rle": {"size": size, "counts": row["counts"]},
                }
                for row in found
            ],
        }
    fields: Fields = {
        "task": task,
        "scores": [_number(row["score"]) for row in found],
        "labels": [int(row["label"]) for row in found],
        "names": [row["name"] for row in found],
    }
    if task == "detection":
        fields["boxes"] = [
            [_number(row[side]) for side in ("x1", "y1", "x2", "y2")] for row in found
        ]
    return fields


def frame_of(row: Row) -> Fields:
    """The fields of the frame that a row belongs to."""
    return {name: row[name] or None for name in FRAME_COLUMNS} | {"stream": row["stream"]}


def _number(cell: str) -> float | None:
    return float(cell) if cell else None
