"""Holds one stream at the quality that was asked for."""

from __future__ import annotations

import numpy as np

from streamdyn.blocks import BlockMask
from streamdyn.policy import Policy, StreamState
from streamdyn.quality.control import Controller
from streamdyn.quality.guard import Guard
from streamdyn.quality.schedule import AuditSchedule
from streamdyn.quality.settings import Quality
from streamdyn.types import Frame, StageSeconds


class Keeper:
    """What stands between a policy and its stream: refresh, guard, audits and the threshold.

    For each frame after the first, in this order: `asks`, then `complete` if it does, `advance`,
    and `learn` if that says that the frame is to be audited.

    Args:
        threshold: where the policy's threshold stood before any stream.
    """

    def __init__(self, quality: Quality, policy: Policy, threshold: float | None) -> None:
        self._refresh_seconds = quality.refresh_seconds
        self._guard = Guard() if quality.guard else None
        self._controller: Controller | None = None
        if quality.target is not None and threshold is not None:
            self._controller = Controller(policy, threshold, quality.target)
        self._schedule = AuditSchedule(quality.audit_cost, quality.seed)
        self._asked = False  # the policy, about this frame

    def asks(self) -> bool:
        """Whether to ask the policy about the next frame; if not, all of it is computed."""
        self._asked = self._guard is None or self._guard.asks()
        return self._asked

    def complete(self, mask: BlockMask, frame: Frame, state: StreamState) -> BlockMask:
        """What to compute where the policy asks for `mask`."""
        if self._refresh_seconds is not None:
            stale = state.computed_at < frame.pts_seconds - self._refresh_seconds
            if np.any(stale):
                mask = mask | BlockMask(mask.grid, stale)
        if self._guard and self._guard.replaces(mask.density):
            return mask.grid.all()
        return mask

    def advance(self, density: float, seconds: StageSeconds) -> bool:
        """Take note of a frame and its cost; return whether to audit it."""
        if self._guard:
            if self._asked:
                self._guard.note(density, seconds.policy, seconds.model)
            else:
                self._guard.note_whole(seconds.model)
        if self._controller is None:
            return False
        self._controller.advance(density)
        return self._schedule.picks(density == 1)

    def learn(self, agreement: float, dense_seconds: float) -> None:
        """Take note of an audit, and of what the model took for it."""
        if self._guard:
            self._guard.note_whole(dense_seconds)
        if self._controller:
            self._controller.learn(agreement)
