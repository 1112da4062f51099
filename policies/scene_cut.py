"""Notice that the picture shows something else: a cut, a camera that was moved, lights off."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import BlockMask, Frame, Policy, StreamState

_SMALL = (32, 18)  # blocks, (width, height), whose mean brightness is compared
_NOISE = 4.0  # grey levels that the means of blocks may vary by without showing anything


class SceneCut(Policy):
    """Compute a frame whole when it does not show what the frame before it showed.

    Meant to be added to others: `Change() | SceneCut()`. Frames are compared by the brightness of
    32 x 18 blocks. Flicker and exposure brighten or darken all of them alike, which says nothing;
    what counts is the part of the pattern that does not come from the frame before, and a contrast
    that is lost or gained more than twofold, as when lights go off.

    Args:
        distance: between two frames, in [0, 1], from which on it is a cut. It is no `threshold`:
            whoever lowers the quality does not want to overlook cuts.
    """

    def __init__(self, distance: float = 0.6) -> None:
        if not 0 < distance < 1:
            raise ValueError(f"distance must lie between 0 and 1, got {distance}")
        self.distance = distance
        self.reset()

    def reset(self) -> None:
        self._before: NDArray[np.float32] | None = None  # pattern of the frame before

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        pattern = _pattern(frame.luma)
        before = _pattern(state.reference) if self._before is None else self._before
        self._before = pattern
        cut = _distance(pattern, before) > self.distance
        return state.grid.all() if cut else state.grid.none()


def _pattern(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The brightness of blocks, less their mean."""
    means = cv2.resize(luma, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    pattern: NDArray[np.float32] = means - means.mean()
    return pattern


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """How much of the stronger pattern the other does not explain: 0 alike, 1 or more unrelated."""
    noise = _NOISE**2 * a.size
    strong = max(float(a @ a), float(b @ b))
    return 1 - (float(a @ b) + noise) / (strong + noise)
