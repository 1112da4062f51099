"""Which frames to audit."""

from __future__ import annotations

import numpy as np


class AuditSchedule:
    """Picks frames at random, never two close together: the first ones soon, later ones rarely.

    Only frames of which a part was reused are picked: one that was computed whole agrees with the
    dense model as it is. The gaps between picks, counted in such frames, are drawn from half to
    one and a half of their mean, so that no rhythm of the scene or the codec can hide from them.

    Args:
        share: the fraction of all frames that may be picked, in the long run.
    """

    EARLY = 4.0  # picks that may be made ahead of the budget, or that a time without any saves up
    _MEMORY = 100  # frames over which the fraction of partly reused ones is averaged
    _NEAREST = 4  # frames between picks, on average, at least
    _PACE = 0.2, 1.25  # of the gap that the budget allows on average: at first, and at last
    _SLOWER = 1.35  # times, with each pick

    def __init__(self, share: float, seed: int = 0) -> None:
        self._share = share
        self._draw = np.random.default_rng(seed)
        self._credit = self.EARLY
        self._partial = 1.0  # fraction of frames that are partly reused
        self._pace, self._last_pace = self._PACE
        self._wait = self._gap(0.5, 1.5)

    def picks(self, whole: bool) -> bool:
        """Whether to audit a frame that was, or was not, computed whole. Once for each frame."""
        self._credit = min(self._credit + self._share, self.EARLY)
        self._partial += ((not whole) - self._partial) / self._MEMORY
        if whole:
            return False
        self._wait -= 1
        if self._wait > 0:
            return False
        if self._credit < 1 - 1e-9:  # sums of fractions are inexact
            self._wait = self._gap(0, 0.5)
            return False
        self._credit -= 1
        self._pace = min(self._pace * self._SLOWER, self._last_pace)
        self._wait = self._gap(0.5, 1.5)
        return True

    def _gap(self, least: float, most: float) -> int:
        mean = self._pace * self._partial / self._share
        if self._share < 1 / self._NEAREST:
            mean = max(mean, self._NEAREST)
        return max(round(self._draw.uniform(least, most) * mean), 1)
