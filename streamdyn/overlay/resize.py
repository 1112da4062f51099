"""Results on pictures of another size."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from streamdyn.types import Detections, Result, Segmentation


def resize(result: Result, old: tuple[int, int], new: tuple[int, int]) -> Result:
    """A result on its picture, resized from `old` to `new` (height, width)."""
    match result:
        case Detections():
            scale = np.array([new[1] / old[1], new[0] / old[0]] * 2, np.float32)
            return replace(result, boxes=result.boxes * scale)
        case Segmentation():
            labels = cv2.resize(result.labels, new[::-1], interpolation=cv2.INTER_NEAREST)
            return replace(result, labels=labels.astype(np.uint8, copy=False))
    return result
