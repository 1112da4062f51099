"""Recompute the blocks that changed."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import Frame, ScorePolicy, StreamState


class Change(ScorePolicy):
    """Compute the blocks whose brightness moved away from what was last computed of them.

    A block counts as changed when the mean absolute difference of one of its 16 cells exceeds
    `threshold` grey levels (0 to 255): a small thing in a large block is not diluted. The mask is
    then grown by `grow` blocks, because what a network says of a block depends on its neighbours.
    """

    def __init__(self, threshold: float = 6.0, grow: int = 0) -> None:
        super().__init__(threshold, grow)

    def scores(self, frame: Frame, state: StreamState) -> NDArray[np.float32]:
        return state.grid.peak(cv2.absdiff(frame.luma, state.reference))
