"""Frames that are skipped in time: the bar for any policy, and what is left where none pays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamdyn.metrics import agreement
from streamdyn.types import Result

_POWER = 0.6  # disagreement grows with the age of a result to this power, or about so
_MOST = 12  # frames that one result stands for
_INTERVALS = np.arange(1, _MOST + 1)
# Mean disagreement where a frame is computed every so often, over that of a result one frame old.
_LOSSES = np.cumsum((_INTERVALS - 1.0) ** _POWER) / _INTERVALS


class Skipping:
    """Repeats results for as many frames as a target of agreement allows.

    A result that is `n` frames old disagrees by about `growth * n ** 0.6`. How fast that grows is
    seen for nothing whenever a frame is computed whole: by how far its result differs from the one
    that it replaces, and so follows the interval at which frames are computed. What the target
    allows is also kept account of: the interval is shorter while more was lost, longer while less.

    Args:
        allowed: mean disagreement over frames.
    """

    _FADE = 0.98  # per look: the weight of what was seen before
    _GROWTH, _WEIGHT = 0.1, 1.0  # what is thought before the first look, and for how many
    _SAVED, _OWED = 25, 40  # frames whose allowance is saved up, or owed, at most
    _RARELY = 4  # frames that follow one another tell little: every so many are looked at

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self._change = self._GROWTH * self._WEIGHT  # summed over looks, older ones faded
        self._exposure = self._WEIGHT  # the same, of the ages to the power
        self._saved = 0.0  # disagreement, summed over frames
        self._spent = 0.0  # the same, on the skips since the last computed frame
        self._carry = 0.0  # frames that the last interval was too short, at most 0
        self._age: int | None = None  # of the last result; None if some of it is older
        self._unseen = 0  # whole frames right after whole ones, since one was looked at

    @property
    def growth(self) -> float:
        """Disagreement of a result with the frame after its own."""
        return self._change / self._exposure

    def cost(self, disagreement: float) -> float:
        """Share of the frames that have to be computed for a mean disagreement."""
        return float(np.interp(disagreement, self.growth * _LOSSES, 1 / _INTERVALS))

    def skips(self) -> bool:
        """Whether to skip the next frame. Once for each frame that it has the word about."""
        self._save(self._allowed)
        if self._age is None:
            return False
        ahead = self._saved / (self._OWED * self._allowed)
        due = self._carry + 1 / self.cost((1 + ahead) * self._allowed)
        if self._age + 1 >= due:
            self._carry = max(due - (self._age + 1), -1.0)
            return False
        loss = self.growth * (self._age + 1) ** _POWER
        self._save(-loss)
        self._spent += loss
        return True

    def advance(self, density: float, before: Callable[[], Result], after: Result) -> None:
        """Note how much of a frame was computed, and what that changed.

        Args:
            before: what would be shown of the frame, had it been skipped.
        """
        age, spent = self._age, self._spent
        if density == 0:
            self._age = None if age is None else age + 1
            return
        self._age, self._spent = 0 if density == 1 else None, 0.0
        if self._age is None or age is None:
            return
        self._unseen = 0 if age else (self._unseen + 1) % self._RARELY
        if self._unseen:
            return
        change = 1 - agreement(before(), after)
        self._learn(change, age + 1)
        if spent:
            lost = change * np.sum((_INTERVALS[:age] / (age + 1)) ** _POWER)
            self._save(spent - float(lost))

    def audited(self, found: float) -> None:
        """Note the agreement of the frame that was skipped last."""
        if self._age:
            self._learn(1 - found, self._age)

    def _save(self, disagreement: float) -> None:
        low, high = -self._OWED * self._allowed, self._SAVED * self._allowed
        self._saved = min(max(self._saved + disagreement, low), high)

    def _learn(self, change: float, frames: int) -> None:
        self._change = self._FADE * self._change + change
        self._exposure = self._FADE * self._exposure + frames**_POWER
