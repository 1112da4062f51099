"""Predictions as tests need them: of a result, and the rest as it may be."""

from __future__ import annotations

from typing import Any

from streamdyn import Prediction
from streamdyn.types import Result


def a_prediction(result: Result, index: int = 0, **changes: Any) -> Prediction:
    """The prediction of a frame at 25 a second, with some fields changed."""
    fields = {
        "stream": "cam",
        "index": index,
        "pts_seconds": index / 25,
        "status": "computed",
        "age_frames": 0,
        "age_seconds": 0.0,
        "density": 0.5,
        "share": 0.25,
        "latency_seconds": 0.01,
        "result": result,
    }
    return Prediction(**fields | changes)
