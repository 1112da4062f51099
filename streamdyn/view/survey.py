"""What became of a stream, and which of its moments are worth showing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from streamdyn.errors import SinkError
from streamdyn.records import Decision
from streamdyn.view.history import Ages


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame, in figures."""

    index: int
    density: float
    oldest_frames: int  # of the blocks
    oldest_seconds: float


class Survey:
    """The figures of a whole run.

    Raises:
        SinkError: there was no frame.
    """

    def __init__(self, decisions: Iterable[Decision]) -> None:
        ages = Ages()
        self.moments: list[Moment] = []
        self.stream = ""
        for decision in decisions:
            self.stream = decision.stream
            ages.advance(decision.mask, decision.pts_seconds)
            self.moments.append(Moment(decision.index, decision.mask.density, *ages.oldest))
        if not self.moments:
            raise SinkError("the results hold no frame")

    @property
    def longest(self) -> Moment:
        """The moment with the oldest block of all."""
        return max(self.moments, key=lambda moment: moment.oldest_frames)

    def telling(self) -> dict[int, str]:
        """A few frames by index, in order, and what each is an example of."""
        some = [m for m in self.moments if 0 < m.density < 1]
        keys = [m for m in self.moments if m.density == 1]
        skips = [m for m in self.moments if m.density == 0]
        told: dict[int, list[str]] = {}

        def tell(moment: Moment, what: str) -> None:
            told.setdefault(moment.index, []).append(what)

        for key in _spread(keys, 2):
            tell(key, "key frame")
        if some:
            most = max(some, key=lambda m: m.density)
            tell(most, f"most computed: {most.density:.0%} of the blocks")
            middle = np.median([m.density for m in some])
            usual = min(some, key=lambda m: abs(m.density - middle))
            tell(usual, f"usual: {usual.density:.0%} of the blocks")
        if self.longest.oldest_frames:
            tell(self.longest, f"oldest block: {self.longest.oldest_seconds:.2f} s")
        if skips:
            tell(max(skips, key=lambda m: m.oldest_frames), "skipped: nothing computed")
        return {index: ", ".join(told[index]) for index in sorted(told)}


def _spread(moments: list[Moment], count: int) -> list[Moment]:
    """The first, and others that are evenly spread over all."""
    places = np.linspace(0, len(moments) - 1, min(count, len(moments)))
    return [moments[place] for place in np.rint(places).astype(int).tolist()]
