"""Keeps what a policy asks for from costing more time than computing everything."""

from __future__ import annotations

from collections import deque
from statistics import median


class Guard:
    """Finds out from measured seconds when a mask, or the policy itself, does not pay.

    A mask of many blocks is computed whole where masks as dense as it took longer than that. While
    frames that the policy was asked about cost more than whole ones, it is asked so seldom that
    the mean stays near that of whole ones; the frames between are computed whole.
    """

    _EXCESS = 0.05  # over the cost of whole frames, that questions may make
    _LONGEST = 250  # frames between two questions, at most
    _MEMORY = 8  # frames over which the cost is averaged
    _LONG_MEMORY = 24  # the same, of the typical cost
    _STALL = 1.5  # times whole frames: what takes longer may well do so because of the machine
    _BINS = 16  # of densities
    _SAMPLES = 5  # of the seconds of each bin that are kept
    _DENSE_FROM = 0.9  # what is denser is computed whole before its bin has as many
    _RETRY = 64  # every so often a mask that did not pay is computed as it is
    _FIRST, _WHOLE_SAMPLES = 3, 9  # of the seconds of whole frames that are needed, and kept

    def __init__(self) -> None:
        self._whole_seconds: deque[float] = deque(maxlen=self._WHOLE_SAMPLES)
        self._bin_seconds: list[deque[float]] = [
            deque(maxlen=self._SAMPLES) for _ in range(self._BINS)
        ]
        self._replaced = 0  # masks
        self._cost = 1.0  # of frames that the policy was asked about, over that of whole ones
        self._typical = 1.0  # the same over more frames, that of each bounded
        self._asked = 0  # frames, up to that many
        self._wait = 0  # frames to the next question

    @property
    def typical_cost(self) -> float:
        """Of the frames that the policy was asked about of late, over that of whole ones."""
        return self._typical

    def asks(self) -> bool:
        """Whether to ask the policy about the next frame. Once for each frame."""
        if len(self._whole_seconds) < self._FIRST:
            return False
        if self._wait:
            self._wait -= 1
            return False
        return True

    def replaces(self, density: float) -> bool:
        """Whether to compute a frame whole instead of a mask of this density."""
        if not 0 < density < 1 or not self._is_dear(density):
            return False
        self._replaced += 1
        return self._replaced % self._RETRY != 0

    def note_whole(self, model_seconds: float) -> None:
        """Note what a frame that is computed whole costs: one of the stream's, or an audit."""
        self._whole_seconds.append(model_seconds)

    def note(self, density: float, policy_seconds: float, model_seconds: float) -> None:
        """Note what a frame that the policy was asked about has cost."""
        if density == 1:
            self.note_whole(model_seconds)
        elif density > 0:
            self._bin(density).append(model_seconds)
        cost = (policy_seconds + model_seconds) / max(median(self._whole_seconds), 1e-9)
        self._cost += (cost - self._cost) / self._MEMORY
        self._asked = min(self._asked + 1, self._LONG_MEMORY)
        self._typical += (min(cost, self._STALL) - self._typical) / self._asked
        self._wait = min(max(int((self._cost - 1) / self._EXCESS), 0), self._LONGEST)

    def _is_dear(self, density: float) -> bool:
        seconds = self._bin(density)
        if len(seconds) < self._SAMPLES:
            return density >= self._DENSE_FROM
        return median(seconds) >= median(self._whole_seconds)

    def _bin(self, density: float) -> deque[float]:
        return self._bin_seconds[int(density * self._BINS)]
