"""Copies of a stream's scores, of which only what changed is written anew."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.postprocess.labelling import Changed, Scores, compare, new_scores, write

_MOST: Final = 3  # that are written again: results are seldom held longer


class Copies:
    """Gives each of a stream's maps (classes, rows, cols) as scores that stay as they are.

    A copy is written again once nobody holds it, nor a view of it; then only what has changed
    since it was up to date has to be. A result that is held goes on holding its own.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._copies: list[_Copy] = []
        self._newest: _Copy | None = None

    def take(self, maps: NDArray[np.float32]) -> tuple[Scores, Changed]:
        """Copy maps; say what is not as it was in those before, at first all. Read-only."""
        maps = np.ascontiguousarray(maps, np.float32)
        copy = next((each for each in self._copies if each.is_free()), None) or self._add()
        changed = compare(maps, self._newest.scores) if self._newest else copy.stale.copy()
        for each in self._copies:
            each.stale |= changed
        write(maps, copy.scores, copy.stale)
        copy.stale[:] = 0
        self._newest = copy
        return copy.lend(), changed

    def _add(self) -> _Copy:
        copy = _Copy(*new_scores(self._shape))
        self._copies = [copy, *self._copies[: _MOST - 1]]
        return copy


@dataclass(slots=True, eq=False)
class _Copy:
    scores: Scores
    stale: Changed  # what is not up to date
    borrowed: weakref.ref[Scores] | None = None

    def is_free(self) -> bool:
        """Whether what was lent is no more."""
        return self.borrowed is None or self.borrowed() is None

    def lend(self) -> Scores:
        """The scores, read-only."""
        # Views hold the array that they were taken from, but none beyond it: what holds its
        # memory by the buffer protocol is the last of the line. So while there is a view of what
        # is lent, there is what is lent.
        memory: memoryview = self.scores.data
        lent = np.frombuffer(memory.toreadonly(), np.float32)
        self.borrowed = weakref.ref(lent)
        return lent.reshape(self.scores.shape)
