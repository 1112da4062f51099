"""Predictions as dicts of plain values, as JSON has them, and back.

A number that JSON cannot say (NaN, an infinity) is None, and is read back as NaN. The fields of a
result by its task:

    recognition    labels, scores, names
    detection      boxes (x1 y1 x2 y2 in pixels), scores, labels, names
    segmentation   size (height, width), classes (the names of all of them), segments (one for each
                   class that is seen: label, name, area in pixels, rle)

The mask of a frame is that of `streamdyn.records.mask`: grid (height, width and block of the
network's input, in pixels), picture (where the picture lies on it, if not all over), counts (the
blocks as run lengths).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.errors import SinkError
from streamdyn.records.mask import make_mask, mask_fields
from streamdyn.records.rle import from_rle, to_rle
from streamdyn.types import (
    Audit,
    Classification,
    Detections,
    Prediction,
    Result,
    Segmentation,
    Status,
)

Fields = dict[str, Any]  # what JSON can say

# Of the fields. It goes up when one changes its meaning, not when one is added. Records without it
# are older, and have no masks.
VERSION = 1


def to_record(prediction: Prediction) -> Fields:
    """The fields of a prediction, without the seconds of the stages."""
    return {**frame_fields(prediction), "result": result_fields(prediction.result)}


def from_record(record: Fields) -> Prediction:
    """The prediction of a record.

    Raises:
        SinkError: it is not the record of a prediction.
    """
    with reading("this"):
        return make_prediction(record, make_result(record["result"]))


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Say in plain words why what stands at `place` cannot be read.

    Raises:
        SinkError: for whatever malformed records and broken files bring up inside.
    """
    try:
        yield
    except OSError as error:
        raise SinkError(f"cannot read {place}: {error.strerror or error}") from None
    except KeyError as error:
        raise SinkError(f"{place} is not the record of a prediction: no {error}") from None
    except (AttributeError, IndexError, OverflowError, TypeError) as error:
        raise SinkError(
            f"{place} is not the record of a prediction: a value of the wrong kind ({error})"
        ) from None
    except (ValueError, EOFError, csv.Error) as error:
        raise SinkError(f"{place} is not the record of a prediction: {error}") from None


def frame_fields(prediction: Prediction) -> Fields:
    """All but the result."""
    fields = {
        "version": VERSION,
        "stream": prediction.stream,
        "index": prediction.index,
        "pts_seconds": _number(prediction.pts_seconds),
        "status": prediction.status,
        "age_frames": prediction.age_frames,
        "age_seconds": _number(prediction.age_seconds),
        "density": _number(prediction.density),
        "share": _number(prediction.share),
        "latency_seconds": _number(prediction.latency_seconds),
    }
    if prediction.fault is not None:
        fields["fault"] = prediction.fault
    if prediction.audit is not None:
        fields["audit_index"] = prediction.audit.index
        fields["audit_agreement"] = _number(prediction.audit.agreement)
    if prediction.mask is not None:
        fields["mask"] = mask_fields(prediction.mask)
    return fields


def make_prediction(fields: Fields, result: Result) -> Prediction:
    """The inverse of `frame_fields`, given the result."""
    require_version(fields)
    if fields["status"] not in get_args(Status):
        raise ValueError(f"status is {' or '.join(get_args(Status))}, not {fields['status']!r}")
    return Prediction(
        stream=str(fields["stream"]),
        index=int(fields["index"]),
        pts_seconds=_float(fields["pts_seconds"]),
        status=fields["status"],
        age_frames=int(fields["age_frames"]),
        age_seconds=_float(fields["age_seconds"]),
        density=_float(fields["density"]),
        share=_float(fields["share"]),
        latency_seconds=_float(fields["latency_seconds"]),
        result=result,
        fault=fields.get("fault"),
        audit=_audit(fields),
        mask=mask_of(fields),
    )


def result_fields(result: Result) -> Fields:
    """The fields of a result."""
    match result:
        case Classification():
            return {"task": result.task, **_scored_fields(result)}
        case Detections():
            return {"task": result.task, "boxes": _numbers(result.boxes), **_scored_fields(result)}
        case Segmentation():
            return {
                "task": result.task,
                "size": list(result.labels.shape),
                "classes": list(result.classes),
                "segments": _segments(result),
            }


def make_result(fields: Fields) -> Result:
    """The inverse of `result_fields`."""
    match fields["task"]:
        case "recognition":
            return Classification(**_scored(fields))
        case "detection":
            scored = _scored(fields)
            boxes = np.array(fields["boxes"], np.float32).reshape(-1, 4)
            if len(boxes) != len(scored["labels"]):
                raise ValueError(f"{len(boxes)} boxes, {len(scored['labels'])} labels")
            return Detections(boxes, **scored)
        case "segmentation":
            return Segmentation(_labels(fields), tuple(fields["classes"]))
        case task:
            raise ValueError(f"there is no task {task!r}")


def require_version(fields: Fields) -> None:
    """Raise ValueError for the fields of a later version, which may mean something else."""
    if (version := int(fields.get("version") or 0)) > VERSION:
        raise ValueError(f"version {version} is of a later streamdyn; this one reads {VERSION}")


def mask_of(fields: Fields) -> BlockMask | None:
    """The mask of a frame; None where it was not saved."""
    saved = fields.get("mask")
    return None if saved is None else make_mask(saved)


def _audit(fields: Fields) -> Audit | None:
    index = fields.get("audit_index")
    return None if index is None else Audit(int(index), _float(fields["audit_agreement"]))


def _scored_fields(result: Classification | Detections) -> Fields:
    return {
        "scores": _numbers(result.scores),
        "labels": result.labels.tolist(),
        "names": list(result.names),
    }


def _scored(fields: Fields) -> Fields:
    scores = np.array(fields["scores"], np.float32)
    labels = np.array(fields["labels"], np.int64)
    names = tuple(fields["names"])
    if not scores.shape == labels.shape == (len(names),):
        raise ValueError(f"{len(scores)} scores, {len(labels)} labels, {len(names)} names")
    return {"scores": scores, "labels": labels, "names": names}


def _segments(result: Segmentation) -> list[Fields]:
    areas = np.bincount(result.labels.ravel())
    columns = np.asfortranarray(result.labels)  # the order in which run lengths count
    return [
        {
            "label": label,
            # A label that has no class (255 for "no matter what", say) has no name.
            "name": result.classes[label] if label < len(result.classes) else "",
            "area": int(areas[label]),
            "rle": to_rle(columns == label),
        }
        for label in np.flatnonzero(areas).tolist()
    ]


def _labels(fields: Fields) -> NDArray[np.uint8]:
    height, width = fields["size"]
    labels = np.zeros((height, width), np.uint8)
    covered = 0
    for segment in fields["segments"]:
        mask = from_rle({"size": [height, width], "counts": segment["rle"]["counts"]})
        np.copyto(labels, segment["label"], where=mask, casting="same_kind")
        covered += int(np.count_nonzero(mask))
    if covered != labels.size:
        raise ValueError(f"segments of {covered} of {labels.size} pixels")
    return labels


def _number(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _float(number: float | str | None) -> float:
    return math.nan if number is None else float(number)


def _numbers(values: NDArray[np.float32]) -> list[Any]:
    """The shortest decimals that are read back as the same float32, nested like the array."""
    shortest = values.astype(np.float32).astype(np.str_).astype(np.float64)
    plain = shortest.astype(object)
    plain[~np.isfinite(shortest)] = None
    return list(plain.tolist())
