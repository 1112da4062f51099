"""Policies of your own: say what is worth computing of each frame.

    streamdyn check --policy ./my_policy.py:MyPolicy      does it keep the contract?
    streamdyn run cam.mp4 --policy './my_policy.py:MyPolicy(threshold=8)'
    streamdyn view runs/.../cam                           what it computed, as a video

Change what you like, and delete what you do not need.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import BlockMask, Frame, Policy, ScorePolicy, StreamState


class MyPolicy(ScorePolicy):
    """Compute the blocks whose brightness changed, at the bottom of the picture sooner.

    A policy that gives each block a score. Blocks above `threshold` are computed, and `grow`
    blocks around them. It takes `--target-agreement`, which moves the threshold.
    """

    def __init__(self, threshold: float = 6.0, grow: int = 1) -> None:
        super().__init__(threshold, grow)

    def scores(self, frame: Frame, state: StreamState) -> NDArray[np.float32]:
        # All three are (H, W) uint8. The reference holds each block as it was when last computed,
        # so slow changes add up until they cross the threshold.
        change = cv2.absdiff(frame.luma, state.reference)
        # Of 16 parts of each block the one that changed most: (rows, cols). `mean` takes them all.
        scores = state.grid.peak(change)
        rows = state.grid.shape[0]
        weights = np.linspace(0.5, 1.5, rows, dtype=np.float32)[:, None]
        return scores * weights


class MyFramePolicy(Policy):
    """Skip frames while nothing much changes; compute the others whole.

    A policy that returns the mask itself: `state.grid.none()` skips the frame, `state.grid.all()`
    computes all of it, and `mask.active[row, col] = True` chooses a block.
    """

    def __init__(self, levels: float = 2.0, at_most: int = 25) -> None:
        self.levels = levels  # grey levels of change, on average, that call for a frame
        self.at_most = at_most  # frames that are skipped in a row
        self.reset()

    def reset(self) -> None:
        """Forget the stream. All that is remembered from frame to frame starts here."""
        self._skipped = 0

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        # Every fourth pixel each way is enough to see a change.
        change = cv2.absdiff(frame.luma[::4, ::4], state.reference[::4, ::4])
        if change.mean() < self.levels and self._skipped < self.at_most:
            self._skipped += 1
            return state.grid.none()
        self._skipped = 0
        return state.grid.all()
