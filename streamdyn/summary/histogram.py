"""Quantiles in memory that does not grow."""

from __future__ import annotations

import math

import numpy as np


class Histogram:
    """Quantiles of positive numbers to within 1%, whatever their number.

    Each bin is 2% wider than the one before; a quantile is told as the middle of its bin.
    Values from 100 ns to 100,000 s are told apart, others count as the nearest of these.
    """

    _STEP = math.log(1.02)
    _FIRST = math.floor(math.log(1e-7) / _STEP)
    _LAST = math.ceil(math.log(1e5) / _STEP)

    def __init__(self) -> None:
        self._counts = np.zeros(self._LAST - self._FIRST + 1, np.int64)

    def add(self, value: float) -> None:
        """Count a value."""
        place = math.floor(math.log(value) / self._STEP) if value > 0 else self._FIRST
        self._counts[min(max(place, self._FIRST), self._LAST) - self._FIRST] += 1

    def merge(self, other: Histogram) -> None:
        """Count all values of another one."""
        self._counts += other._counts

    def quantile(self, fraction: float) -> float | None:
        """The smallest value that `fraction` of all are not above; None where there are none."""
        totals = self._counts.cumsum()
        if not totals[-1]:
            return None
        place = int(np.searchsorted(totals, max(fraction * totals[-1], 1)))
        return math.exp((place + self._FIRST + 0.5) * self._STEP)
