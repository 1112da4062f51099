"""Where the pixels of a source lie between the scores of a map.

Along each axis the scores, one more at both ends that repeats the last, leave intervals: number i
between scores i - 1 and i. Intervals are computed in pieces of LANES, side by side: in the slot
(rank, i) the pixel that is the rank-th of its interval, for which the memory of all scores is read
as it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.lanes import LANES
from streamdyn.fit import Fit


@dataclass(frozen=True, slots=True)
class Between:
    """The pixels of a source between scores of (rows, cols); a share is of the way to the next.

    The arrays are read by compiled code, and shared: do not write to them.
    """

    lines: NDArray[np.int32]  # (rows + 2,) the first line of each interval between rows, and an end
    shares: NDArray[np.float32]  # (source's height,) of each line
    firsts: NDArray[np.int32]  # (pieces + 1,) the first pixel of each piece of a line, and an end
    across: NDArray[np.float32]  # (ranks, pieces * LANES) the share of each slot
    slots: NDArray[np.int32]  # (source's width,) that of each pixel, in its piece

    @property
    def pieces(self) -> int:
        """Of a line."""
        return len(self.firsts) - 1

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, fit: Fit, rows: int, cols: int) -> Between:
        """For scores that cover the input of a fit."""
        down, across = _places(fit, 0, rows), _places(fit, 1, cols)
        line_of = np.floor(down).astype(np.int32)
        pieces = -(-(cols + 1) // LANES)
        places, pixels = np.unique(across, return_inverse=True)  # many beyond the input are one
        interval = np.floor(places).astype(np.int32)
        rank = np.arange(len(places)) - np.searchsorted(interval, interval)
        shares = np.zeros((rank.max() + 1, pieces * LANES), np.float32)
        shares[rank, interval] = places - interval
        return cls(
            lines=np.searchsorted(line_of, np.arange(rows + 2)).astype(np.int32),
            shares=(down - line_of).astype(np.float32),
            firsts=np.searchsorted(across, np.arange(pieces + 1) * LANES).astype(np.int32),
            across=shares,
            slots=(rank * LANES + interval % LANES)[pixels].astype(np.int32),
        )


def _places(fit: Fit, axis: int, cells: int) -> NDArray[np.float64]:
    """The centres of the source's pixels, counted from the repeated first score."""
    fine = cells / fit.size[axis]
    step = fine * fit.picture[axis + 2] / fit.source[axis]
    centres = fine * fit.picture[axis] + step * (np.arange(fit.source[axis]) + 0.5) + 0.5
    last = np.nextafter(cells + 1, 0)  # what lies further out is cut off, and as good as there
    places: NDArray[np.float64] = np.clip(centres, 0, last)
    return places
