"""Holds one stream at the quality that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.policy import Policy, StreamState
from streamdyn.quality.arms import Arms
from streamdyn.quality.guard import Guard
from streamdyn.quality.settings import Quality
from streamdyn.types import Frame, Result, StageSeconds

if TYPE_CHECKING:
    from streamdyn.quality.warp import Warp


class Keeper:
    """What stands between a policy and its stream: refresh, guard, audits and the threshold.

    For each frame after the first, in this order: `preset`, `complete`, `shown` if nothing is
    computed, `advance`, and `learn` if that says that the frame is to be audited.

    Args:
        threshold: where the policy's threshold stood before any stream.
    """

    def __init__(self, quality: Quality, policy: Policy, threshold: float | None) -> None:
        self._refresh_seconds = quality.refresh_seconds
        self._guard = Guard() if quality.guard else None
        self._arms: Arms | None = None
        if quality.target is not None and threshold is not None:
            self._arms = Arms(quality, policy, threshold)
        self._warp = _new_warp() if quality.warp or self._arms else None
        self._asked = False  # the policy, about this frame

    def preset(self, grid: BlockGrid) -> BlockMask | None:
        """What to compute of the next frame without asking the policy; None: ask it."""
        turn = self._arms is None or self._guard is None or self._arms.asking
        self._asked = turn and (self._guard is None or self._guard.asks())
        if self._asked:
            return None
        return grid.none() if self._arms and self._arms.skips() else grid.all()

    def complete(self, mask: BlockMask, frame: Frame, state: StreamState) -> BlockMask:
        """What to compute where the policy, or `preset`, says `mask`."""
        if self._refresh_seconds is not None:
            stale = state.computed_at < frame.pts_seconds - self._refresh_seconds
            if np.any(stale):
                mask = mask | BlockMask(mask.grid, stale)
        if self._guard and self._guard.replaces(mask.density):
            return mask.grid.all()
        return mask

    def shown(self, frame: Frame, state: StreamState) -> Result:
        """What to show of a frame if it is skipped."""
        if self._warp is None:
            return state.result
        return self._warp(state.result, state.reference, frame.luma)

    def advance(
        self, density: float, seconds: StageSeconds, before: Callable[[], Result], after: Result
    ) -> bool:
        """Take note of a frame, its cost and its result.

        Args:
            before: what would be shown of it, had it been skipped.

        Returns:
            Whether to audit it.
        """
        if self._guard:
            if self._asked:
                self._guard.note(density, seconds.policy, seconds.model)
            elif density == 1:
                self._guard.note_whole(seconds.model)
        if self._arms is None:
            return False
        cost = self._guard.typical_cost if self._guard else 0.0
        return self._arms.advance(self._asked, density, cost, before, after)

    def learn(self, agreement: float, dense_seconds: float) -> None:
        """Take note of an audit, and of what the model took for it."""
        if self._guard:
            self._guard.note_whole(dense_seconds)
        if self._arms:
            self._arms.learn(agreement)


def _new_warp() -> Warp:
    from streamdyn.quality.warp import Warp  # takes OpenCV, which few need

    return Warp()
