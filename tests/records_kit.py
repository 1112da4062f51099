"""Predictions of all kinds, to write to records and read back."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamdyn import (
    BlockGrid,
    BlockMask,
    Classification,
    Detections,
    Frame,
    Prediction,
    Segmentation,
)
from streamdyn.records import RESULT_FILES
from streamdyn.sinks import open_sink
from streamdyn.types import Audit, Result

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.floats(width=32, allow_infinity=False)  # NaN is kept, an infinity becomes one
seconds = st.floats(0, 1e6)
FRAME = Frame.from_image(np.zeros((2, 2, 3), np.uint8), index=0, pts_seconds=0.0)


@st.composite
def classifications(draw: st.DrawFn) -> Classification:
    return Classification(**draw(_scored(4)))


@st.composite
def detections(draw: st.DrawFn, corners: st.SearchStrategy[float] = numbers) -> Detections:
    scored = draw(_scored(5))
    boxes = hnp.arrays(np.float32, (len(scored["labels"]), 4), elements=corners)
    return Detections(draw(boxes), **scored)


@st.composite
def segmentations(draw: st.DrawFn) -> Segmentation:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
    classes = draw(st.lists(names, min_size=1, max_size=5))
    labels = hnp.arrays(np.uint8, shape, elements=st.integers(0, len(classes) - 1))
    return Segmentation(draw(labels), tuple(classes))


@st.composite
def masks(draw: st.DrawFn) -> BlockMask:
    height, width = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    whole = (0, 0, height, width)
    picture = draw(st.sampled_from([None, whole, (-3, 0, height + 6, width + 1)]))
    grid = BlockGrid(height, width, draw(st.sampled_from([8, 32, 500])), picture)
    return BlockMask(grid, draw(hnp.arrays(np.bool_, grid.shape)))


@st.composite
def _scored(draw: st.DrawFn, most: int) -> dict[str, Any]:
    count = draw(st.integers(0, most))
    return {
        "scores": draw(hnp.arrays(np.float32, count, elements=numbers)),
        "labels": draw(hnp.arrays(np.int64, count)),
        "names": tuple(draw(st.lists(names, min_size=count, max_size=count))),
    }


@st.composite
def streams(draw: st.DrawFn, results: st.SearchStrategy[Result]) -> list[Prediction]:
    """A few frames of a stream, in which some repeat the result of the one before."""
    result = draw(results)
    predictions = []
    for index in range(draw(st.integers(1, 4))):
        reused = index > 0 and draw(st.booleans())
        result = result if reused else draw(results)
        predictions.append(
            Prediction(
                stream=draw(names),
                index=index,
                pts_seconds=draw(seconds),
                status="reused" if reused else "computed",
                age_frames=draw(st.integers(0, 1000)),
                age_seconds=draw(seconds),
                density=draw(st.floats(0, 1)),
                share=draw(st.floats(0, 1)),
                latency_seconds=draw(seconds),
                result=result,
                fault=draw(st.none() | st.text(st.characters(codec="utf-8"), min_size=1)),
                audit=draw(st.none() | st.builds(Audit, st.integers(0, 1000), st.floats(0, 1))),
                mask=draw(st.none() | masks()),
            )
        )
    return predictions


any_stream = st.one_of(map(streams, (classifications(), detections(), segmentations())))


def plain(value: object, without: tuple[str, ...] = ()) -> object:
    """A prediction or a part of it as values that compare by what they hold, types included."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, [plain(item) for item in value.ravel().tolist()]
    if dataclasses.is_dataclass(value):
        return type(value), {
            field.name: plain(getattr(value, field.name), without)
            for field in dataclasses.fields(value)
            if field.name not in ("seconds", *without)
        }
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def two_boxes() -> Detections:
    boxes = np.array([[0.1, 0.2, 10.3, 20.4], [1, 2, 3, 4]], np.float32)
    return Detections(boxes, np.array([0.9, 0.4], np.float32), np.array([7, 0]), ("dog", "cat"))


def three_classes() -> Segmentation:
    return Segmentation(np.array([[0, 2], [2, 2]], np.uint8), ("road", "sky", "car"))


def save(kind: str, folder: Path, predictions: list[Prediction]) -> Path:
    with open_sink(kind, folder) as sink:
        for prediction in predictions:
            sink(prediction, FRAME)
    return folder / RESULT_FILES[kind]
