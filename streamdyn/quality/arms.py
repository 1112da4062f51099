"""Two ways to one target of agreement."""

from __future__ import annotations

from collections.abc import Callable

from streamdyn.policy import Policy
from streamdyn.quality.control import Controller
from streamdyn.quality.schedule import AuditSchedule
from streamdyn.quality.settings import Quality
from streamdyn.quality.skipping import Skipping
from streamdyn.quality.turns import Turns
from streamdyn.types import Detections, Result, Segmentation


class Arms:
    """The policy, its threshold moved, and skipping in time: by turns, and mostly the cheaper one.

    Args:
        quality: has a target.
        threshold: of the policy, as given.
    """

    _AIM = 0.8  # of what the target allows, for skipping: how results age is known but roughly
    _PROVEN = 0.25  # of what the target allows, that the policy is taken to leave at the least

    def __init__(self, quality: Quality, policy: Policy, threshold: float) -> None:
        assert quality.target is not None
        self._allowed = 1 - quality.target
        self._controller = Controller(policy, threshold, quality.target)
        self._skipping = Skipping(self._AIM * self._allowed)
        self._turns = Turns()
        share, seed = quality.audit_cost, quality.seed
        # How results age is seen without audits: of skipping, they only prove what is reached.
        self._schedules = {True: AuditSchedule(share, seed), False: AuditSchedule(share / 2, seed)}
        self._asked = False
        self._grain = 1.0

    @property
    def asking(self) -> bool:
        """Whether it is the policy's turn."""
        return self._turns.asking

    def skips(self) -> bool:
        """Whether to skip the next frame, about which the policy is not asked."""
        return self._skipping.skips()

    def advance(
        self,
        asked: bool,
        density: float,
        asking_cost: float,
        before: Callable[[], Result],
        after: Result,
    ) -> bool:
        """Take note of a frame; return whether to audit it.

        Args:
            asking_cost: of frames that the policy is asked about, over that of whole ones.
            before: what would be shown of the frame, had it been skipped.
        """
        self._asked = asked
        self._grain = _grain(after)
        self._skipping.advance(density, before, after)
        if asked:
            self._controller.advance(density)
        left = max(self._controller.disagreement, self._PROVEN * self._allowed)
        self._turns.advance(asking_cost, self._skipping.cost(min(left, self._AIM * self._allowed)))
        return self._schedules[asked].picks(density == 1)

    def learn(self, agreement: float) -> None:
        """Take note of an audit of the last frame."""
        if self._asked:
            self._controller.learn(agreement, self._grain)
        else:
            self._skipping.audited(agreement)


def _grain(result: Result) -> float:
    """What disagreements of such a result are made of: an object of a few, or many pixels."""
    match result:
        case Detections():
            return 1 / max(int((result.scores >= 0.5).sum()), 1)
        case Segmentation():
            return 0.02
        case _:
            return 1.0
