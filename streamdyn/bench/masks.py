"""Masks for benchmarks: random ones, and those that a policy draws on real video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.load import load_policy
from streamdyn.pipeline import Pipeline
from streamdyn.sources import open_source
from streamdyn.types import Classification, Frame


def random_masks(grid: BlockGrid, counts: Sequence[int], seed: int = 0) -> list[BlockMask]:
    """A random mask of each number of blocks; the same ones every time."""
    draw = np.random.default_rng(seed)
    masks = []
    for count in counts:
        active = np.zeros(grid.shape, bool)
        active.flat[draw.permutation(active.size)[:count]] = True
        masks.append(BlockMask(grid, active))
    return masks


def masks_of_density(grid: BlockGrid, density: float, count: int, seed: int = 0) -> list[BlockMask]:
    """Random masks of exactly this density, as near as whole blocks allow: one at least."""
    blocks = grid.all().active.size
    return random_masks(grid, [max(round(density * blocks), 1)] * count, seed)


def policy_masks(
    grid: BlockGrid, clip: Path, policy: str, *, frames: int, count: int
) -> list[BlockMask]:
    """What a policy asks for on the first frames of a clip.

    Returns:
        At most `count` masks, evenly spread over the frames of which anything was computed, the
        key frame at the start left out.
    """
    source = open_source(clip, max_frames=frames)
    predictions = Pipeline(_Blind(grid), load_policy(policy)).run(source)
    asked = [p.mask for p in predictions if p.mask][1:]
    if not asked:
        return []
    places = np.linspace(0, len(asked) - 1, min(count, len(asked)))
    return [asked[place] for place in np.rint(places).astype(int).tolist()]


class _Blind:
    """A model that computes nothing: only the decisions matter."""

    def __init__(self, grid: BlockGrid) -> None:
        self._grid = grid
        self._result = Classification(np.zeros(0, np.int64), np.zeros(0, np.float32), ())

    def grid(self, size: tuple[int, int]) -> BlockGrid:
        return self._grid

    def new_cache(self, size: tuple[int, int]) -> None:
        return None

    def __call__(self, frame: Frame, mask: BlockMask, cache: None) -> Classification:
        return self._result

    def share(self, mask: BlockMask) -> float:
        return mask.density
