"""Cost against quality: the front of the points that no other beats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


class Front:
    """The Pareto-optimal ones of points (cost, quality), and the lines between them.

    The lines can be reached: by one setting for a part of the time, and its neighbour for the rest.

    Raises:
        ValueError: there is no point.
    """

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        best: list[tuple[float, float]] = []
        for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
            if not best or quality > best[-1][1]:
                best.append((cost, quality))
        if not best:
            raise ValueError("a front needs a point at least")
        self.points: Sequence[tuple[float, float]] = best
        self._costs, self._qualities = np.array(best).T

    def quality(self, cost: float) -> float:
        """The best quality at a cost; where nothing is as cheap, that of the cheapest."""
        return float(np.interp(cost, self._costs, self._qualities))

    def cost(self, quality: float) -> float:
        """The least cost of a quality, at least that of the cheapest point; infinity where nothing
        is as good."""
        return float(np.interp(quality, self._qualities, self._costs, right=np.inf))
