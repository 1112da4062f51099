"""Recompute what has not been looked at for longest."""

import numpy as np

from streamdyn import BlockMask, Frame, Policy, StreamState


class Age(Policy):
    """Compute a share of the blocks of each frame, the stalest first.

    Every block is computed within 1 / share frames, rounded up, at a cost that does not vary. Use
    it beside a policy that looks at the picture: `Change() | Age(share=0.02)`.
    """

    def __init__(self, share: float = 0.05) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share must lie above 0 and be at most 1, got {share}")
        self.share = share
        self.reset()

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        mask = state.grid.none()
        # What part of a block is left over counts for later frames.
        size = mask.active.size
        self._frames += 1
        count = self._blocks(self._frames, size) - self._blocks(self._frames - 1, size)
        stalest = np.argsort(-state.age, axis=None, kind="stable")[:count]
        mask.active.flat[stalest] = True
        return mask

    def reset(self) -> None:
        self._frames = 0  # since the first

    def _blocks(self, frames: int, size: int) -> int:
        """How many blocks, of `size` in a frame, so many frames are worth."""
        return int(frames * self.share * size + 1e-6)
