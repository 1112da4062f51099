"""Recompute the blocks that changed."""

import cv2

from streamdyn import BlockMask, Frame, Policy, StreamState


class Change(Policy):
    """Compute the blocks whose brightness moved away from what was last computed of them.

    A block counts as changed when the mean absolute difference of one of its 16 cells exceeds
    `threshold` grey levels (0 to 255): a small thing in a large block is not diluted. The mask is
    then grown by `grow` blocks, because what a network says of a block depends on its neighbours.
    """

    def __init__(self, threshold: float = 6.0, grow: int = 0) -> None:
        if threshold < 0 or grow < 0:
            raise ValueError(f"threshold and grow must not be negative, got {threshold}, {grow}")
        self.threshold = threshold
        self.grow = grow

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        change = cv2.absdiff(frame.luma, state.reference)
        return BlockMask(state.grid, state.grid.peak(change) > self.threshold).grow(self.grow)
