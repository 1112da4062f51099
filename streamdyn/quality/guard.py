"""Keeps what a policy asks for from costing more time than computing everything."""

from __future__ import annotations

from collections import deque
from statistics import median


class Guard:
    """Finds out from measured seconds when a mask, or the policy itself, does not pay.

    A mask of many blocks is computed whole where masks as dense as it took longer than that. While
    frames that the policy was asked about cost more than whole ones on average, it is asked less
    and less often, and the frames between are computed whole.
    """

    _BINS = 16  # of densities
    _SAMPLES = 5  # of the seconds of each bin that are kept
    _WHOLE_SAMPLES = 9  # of those of whole frames
    # Before that much was measured: what is denser than this is computed whole.
    _DENSE_FROM, _DENSE_FROM_AT_FIRST, _FIRST = 0.9, 0.5, 3
    _RETRY = 64  # every so often a mask that did not pay is computed as it is
    _MEMORY = 8  # frames over which the cost is averaged
    _LONGEST = 32  # frames between two questions, at most

    def __init__(self) -> None:
        self._whole_seconds: deque[float] = deque(maxlen=self._WHOLE_SAMPLES)
        self._bin_seconds: list[deque[float]] = [
            deque(maxlen=self._SAMPLES) for _ in range(self._BINS)
        ]
        self._replaced = 0  # masks in a row
        self._cost = 0.0  # of frames that the policy was asked about, over that of a whole one
        self._pause = 0  # frames computed whole between two questions
        self._wait = 0  # of these, still to come

    def asks(self) -> bool:
        """Whether to ask the policy about the next frame. Once for each frame."""
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
        if not self._whole_seconds:
            return
        cost = (policy_seconds + model_seconds) / max(median(self._whole_seconds), 1e-9)
        self._cost += (cost - self._cost) / self._MEMORY
        self._pause = min(2 * self._pause + 1, self._LONGEST) if self._cost > 1 else 0
        self._wait = self._pause

    def _is_dear(self, density: float) -> bool:
        if len(self._whole_seconds) < self._FIRST:
            return density >= self._DENSE_FROM_AT_FIRST  # to learn what a whole frame costs
        seconds = self._bin(density)
        if len(seconds) < self._SAMPLES:
            return density >= self._DENSE_FROM
        return median(seconds) >= median(self._whole_seconds)

    def _bin(self, density: float) -> deque[float]:
        return self._bin_seconds[int(density * self._BINS)]
