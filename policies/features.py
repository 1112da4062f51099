"""Look again when a cheap feature of the picture has moved away from the last that was kept."""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import BlockMask, Frame, Policy, StreamState

Luma = NDArray[np.uint8]

_WIDTH = 320  # pixels; larger pictures are shrunk to it
_GREY_LEVELS = 20  # a pixel that differs by more has changed
_EDGES = (100, 200)  # Canny's thresholds


class Features(Policy):
    """Compute a frame whole when it differs from the last kept one by more than `threshold`.

    The difference is a share of the picture, in [0, 1], as in Reducto: "pixel", the pixels that
    changed; "area", the largest connected region of them; "edge", the pixels that became an edge or
    ceased to be one. It is taken to the last frame that was computed.
    """

    threshold: float

    def __init__(
        self, kind: Literal["pixel", "area", "edge"] = "area", threshold: float = 0.01
    ) -> None:
        if kind not in _DIFFERENCES:
            raise ValueError(f"kind must be one of {', '.join(_DIFFERENCES)}, got {kind!r}")
        if threshold < 0:
            raise ValueError(f"threshold must not be negative, got {threshold}")
        self.kind = kind
        self.threshold = threshold

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        difference = _DIFFERENCES[self.kind](_prepare(frame.luma), _prepare(state.reference))
        return state.grid.all() if difference > self.threshold else state.grid.none()


def _prepare(luma: Luma) -> Luma:
    """Small, and blurred so that noise is no edge and no change."""
    height, width = luma.shape
    scale = min(_WIDTH / width, 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (5, 5), 0).astype(np.uint8, copy=False)


def _changed(luma: Luma, kept: Luma) -> Luma:
    return (cv2.absdiff(luma, kept) > _GREY_LEVELS).astype(np.uint8)


def _pixel(luma: Luma, kept: Luma) -> float:
    return float(_changed(luma, kept).mean())


def _area(luma: Luma, kept: Luma) -> float:
    _, _, stats, _ = cv2.connectedComponentsWithStats(_changed(luma, kept), connectivity=8)
    return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / luma.size


def _edge(luma: Luma, kept: Luma) -> float:
    return float(np.mean(cv2.Canny(luma, *_EDGES) != cv2.Canny(kept, *_EDGES)))


_DIFFERENCES: dict[str, Callable[[Luma, Luma], float]] = {
    "pixel": _pixel,
    "area": _area,
    "edge": _edge,
}
