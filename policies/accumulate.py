"""Add up the change that each skipped frame must have brought, and look when it is enough."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import BlockMask, Frame, Policy, StreamState
from streamdyn.metrics import agreement
from streamdyn.types import Result

_WEIGHTS = (-3.0, 1.0)  # to begin with: a frame that moves by one grey level adds 0.05
_RATE = 0.3  # of learning
_SMALL = (64, 36)  # (width, height) of the picture that frames are compared by
_STILL = 0.05  # grey levels; below, no frame is stiller than another


class Accumulate(Policy):
    """Skip frames until the change of the result that they add up to reaches `threshold`.

    After SkipRNN: each frame adds `du`, a sigmoid of features, to an accumulator; when it reaches
    the threshold (0.5: when it rounds to 1, as there) the frame is computed whole and the
    accumulator starts again from 0. Unlike there, nothing is trained through time. A feature is the
    difference to the frame before, looked at on every frame rather than when the state is updated,
    so that what happens suddenly is seen at once; and the sigmoid is fitted while it runs, on each
    update, to how much the result really changed (1 - agreement, in [0, 1]).
    """

    threshold: float

    def __init__(self, threshold: float = 0.1) -> None:
        if threshold <= 0:
            raise ValueError(f"threshold must be above 0, got {threshold}")
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        self._weights = np.array(_WEIGHTS)
        self._seen: NDArray[np.int16] | None = None  # the frame before, small
        self._sum = 0.0  # u: the change since the last computed frame
        self._slope = np.zeros(2)  # its derivative by the weights

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        features = self._features(frame, state)
        du = 1 / (1 + np.exp(-self._weights @ features))
        self._sum += float(du)
        self._slope += du * (1 - du) * features
        return state.grid.all() if self._sum >= self.threshold else state.grid.none()

    def observe(self, mask: BlockMask, before: Result, after: Result) -> None:
        error = self._sum - (1 - agreement(before, after))
        # Normalised by the slope, so that a step is of the same size whatever the features are.
        step = error * self._slope / (self._slope @ self._slope + 1e-2)
        self._weights -= _RATE * np.clip(step, -1, 1)
        self._sum, self._slope = 0.0, np.zeros(2)

    def _features(self, frame: Frame, state: StreamState) -> NDArray[np.float64]:
        """A constant, and the logarithm of the mean difference to the frame before."""
        small = _shrink(frame.luma)
        before = _shrink(state.reference) if self._seen is None else self._seen
        self._seen = small
        return np.array([1.0, np.log(max(np.abs(small - before).mean(), _STILL))])


def _shrink(luma: NDArray[np.uint8]) -> NDArray[np.int16]:
    return cv2.resize(luma, _SMALL, interpolation=cv2.INTER_AREA).astype(np.int16)
