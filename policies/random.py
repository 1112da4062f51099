"""Chance: what any policy must beat at the same density."""

import numpy as np

from streamdyn import BlockMask, Frame, Policy, StreamState


class Random(Policy):
    """Compute each block with probability `density`, drawn anew for every frame."""

    def __init__(self, density: float = 0.25, seed: int = 0) -> None:
        if not 0 <= density <= 1:
            raise ValueError(f"density must lie in [0, 1], got {density}")
        self.density = density
        self.seed = seed
        self.reset()

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return BlockMask(state.grid, self._draw.random(state.grid.shape) < self.density)

    def reset(self) -> None:
        self._draw = np.random.default_rng(self.seed)
