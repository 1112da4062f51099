"""What the policy network sees of a frame: a few numbers about each block."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import Frame, StreamState
from streamdyn.types import Task

from .belief import Belief

Array = NDArray[np.float32]

PLANES: Final = 9
_STAKES: Final[dict[Task, int]] = {"segmentation": 6, "detection": 7, "recognition": 8}


def planes_of(frame: Frame, state: StreamState, belief: Belief) -> Array:
    """Frame, reference, last mask and last result, each around 0 and 1: (rows, cols, PLANES)."""
    grid = state.grid
    now, then = _shrunk(frame.luma), _shrunk(state.reference)
    change = cv2.absdiff(now, then)
    planes = np.zeros((*grid.shape, PLANES), np.float32)
    planes[..., 0] = np.log1p(grid.peak(change, 2)) - 1
    planes[..., 1] = np.log1p(grid.mean(change)) - 1
    light = grid.mean(now)
    planes[..., 2] = light / 128 - 1
    planes[..., 3] = (light - grid.mean(then)) / 16
    planes[..., 4] = np.log2(state.age) / 4
    planes[..., 5] = state.age == 1
    planes[..., _STAKES[state.result.task]] = belief.stake(grid)
    return planes


def _shrunk(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At a quarter of the size, as means of 4x4 pixels: less noise, and far fewer pixels."""
    for _ in range(2):
        size = [max(side // 2, 1) for side in luma.shape[::-1]]
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return luma
