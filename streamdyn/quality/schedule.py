"""Which frames to audit."""

from __future__ import annotations

import numpy as np


class AuditSchedule:
    """Picks frames at random, never two close together, within a budget at any time.

    Only frames of which a part was reused are picked: one that was computed whole agrees with the
    dense model as it is. The gaps between picks, counted in such frames, are drawn from half to
    one and a half of their mean, so that no rhythm of the scene or the codec can hide from them.

    Args:
        share: the fraction of all frames that may be picked.
    """

    _CREDIT = 2.0  # picks that a time without any may save up
    _MEMORY = 100  # frames over which the fraction of partly reused ones is averaged
    _NEAREST = 4  # frames between picks, on average, at least

    def __init__(self, share: float, seed: int = 0) -> None:
        self._share = share
        self._draw = np.random.default_rng(seed)
        self._credit = 0.0
        self._partial = 1.0  # fraction of frames that are partly reused
        self._wait = self._gap(0.5, 1.5)

    def picks(self, whole: bool) -> bool:
        """Whether to audit a frame that was, or was not, computed whole. Once for each frame."""
        self._credit = min(self._credit + self._share, self._CREDIT)
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
        self._wait = self._gap(0.5, 1.5)
        return True

    def _gap(self, least: float, most: float) -> int:
        mean = self._partial / self._share
        if self._share < 1 / self._NEAREST:
            mean = max(mean, self._NEAREST)
        return max(round(self._draw.uniform(least, most) * mean), 1)
