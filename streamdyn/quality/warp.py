"""Results that follow the picture while frames are skipped."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.types import Result, Segmentation

_Luma = NDArray[np.uint8]  # (H, W)


class Warp:
    """Moves the labels of a segmentation to where the picture has moved, by optical flow.

    Other results stay as they are: a box overlaps that of a few frames later as it is, and no
    motion tells what appears.
    """

    _LARGEST, _LEAST = 512, 16  # pixels along a side of the pictures that flow is looked for in

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._x = self._y = np.empty((0, 0), np.float32)  # of each label

    def __call__(self, result: Result, before: _Luma, now: _Luma) -> Result:
        """Return the result of a picture as it would be of a later one."""
        if not isinstance(result, Segmentation):
            return result
        shrink = -(-max(before.shape) // self._LARGEST)
        height, width = (side // shrink for side in before.shape)
        if min(height, width) < self._LEAST:
            return result
        old, new = (
            cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
            for luma in (before, now)
        )
        back = self._flow.calc(new, old, np.zeros((height, width, 2), np.float32))
        return Segmentation(self._fetch(result.labels, back), result.classes)

    def _fetch(self, labels: NDArray[np.uint8], back: cv2.typing.MatLike) -> NDArray[np.uint8]:
        """Take each label from where `back` says that it was, in pixels of its own map."""
        height, width = labels.shape
        if self._x.shape != labels.shape:
            axes = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
            self._x, self._y = np.meshgrid(*axes)
        back = cv2.resize(back, (width, height)) * np.float32(width / back.shape[1])
        moved = cv2.remap(
            labels,
            self._x + back[..., 0],
            self._y + back[..., 1],
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return moved.astype(np.uint8, copy=False)
