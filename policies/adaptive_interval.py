"""Look more often while the results change, and less often while they do not."""

import math

from streamdyn import BlockMask, Frame, Policy, StreamState
from streamdyn.metrics import agreement
from streamdyn.types import Result

# How far one observation moves the logarithm of the interval: at first, to leave the interval of 1
# behind within a few looks, and in the end, to settle.
_FIRST_GAIN, _LAST_GAIN = 0.4, 0.1
_GAIN_KEPT = 0.97  # at each observation
_STEEPEST = math.log(4)  # the most by which one observation may shorten it


class AdaptiveInterval(Policy):
    """Compute whole frames, at an interval that follows how much the results change.

    The interval settles where a newly computed result differs from the one before it by `threshold`
    on average (1 - agreement, in [0, 1]); it lies between 1 and `most` frames. It starts at 1.
    """

    threshold: float

    def __init__(self, threshold: float = 0.1, most: int = 32) -> None:
        if threshold <= 0 or most < 1:
            raise ValueError(
                f"threshold must be above 0 and most at least 1, got {threshold}, {most}"
            )
        self.threshold = threshold
        self.most = most
        self.reset()

    def reset(self) -> None:
        self._interval = 1.0  # frames
        self._gain = _FIRST_GAIN
        self._frames = 0  # since the last that was computed

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        self._frames += 1
        due = self._frames >= round(self._interval)
        return state.grid.all() if due else state.grid.none()

    def observe(self, mask: BlockMask, before: Result, after: Result) -> None:
        change = 1 - agreement(before, after)
        # Linear in the change, so that rare large ones and frequent small ones weigh the same: the
        # steps cancel where their mean is the threshold, whatever their distribution.
        step = max(self._gain * (1 - change / self.threshold), -_STEEPEST)
        self._interval = min(max(self._interval * math.exp(step), 1.0), float(self.most))
        self._gain = max(self._gain * _GAIN_KEPT, _LAST_GAIN)
        self._frames = 0
