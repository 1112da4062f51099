"""Draws on a picture what was computed of it, what was found, and how old that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamdyn.overlay.blocks import paint_blocks
from streamdyn.overlay.labels import paint_boxes, paint_classes
from streamdyn.overlay.segments import paint_legend, paint_segments
from streamdyn.overlay.status import paint_status
from streamdyn.types import Classification, Detections, Prediction, Segmentation

__all__ = ["draw"]


def draw(
    image: NDArray[np.uint8], prediction: Prediction, *, status: bool = True, legend: bool = True
) -> NDArray[np.uint8]:
    """A copy of a picture (H, W, 3) in RGB with its prediction drawn on it.

    The result, the blocks that were computed, the names of the segments (with `legend`), and at the
    bottom (with `status`) the time, the age of the result and the density. Text and lines grow with
    the picture.
    """
    canvas = np.ascontiguousarray(image).copy()
    result = prediction.result
    if isinstance(result, Segmentation):
        paint_segments(canvas, result)
    if prediction.mask is not None:
        paint_blocks(canvas, prediction.mask)
    match result:
        case Classification():
            paint_classes(canvas, result)
        case Detections():
            paint_boxes(canvas, result)
        case Segmentation() if legend:
            paint_legend(canvas, result)
    if status:
        paint_status(canvas, prediction)
    return canvas
