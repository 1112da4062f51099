"""Which pixels of a map a resized one is made from, along one axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.graph import Resize


def nearest(inside: int, outside: int) -> NDArray[np.int64]:
    """The pixel that each new one repeats (outside,).

    The scale is a float32, as torch has it: that decides between two pixels equally near.
    """
    scale = np.float32(inside) / np.float32(outside)
    place = np.arange(outside, dtype=np.float32) * scale
    return np.minimum(place.astype(np.int64), inside - 1)


def repeats(inside: int, outside: int) -> bool:
    """Whether each pixel is repeated the same number of times."""
    times, rest = divmod(outside, inside)
    return not rest and bool((nearest(inside, outside) == np.arange(outside) // times).all())


def samples(op: Resize, inside: int, outside: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pixels along an axis that each new pixel is mixed from, and their parts: (n, 1 or 2)."""
    if op.mode == "nearest":
        return nearest(inside, outside)[:, None], np.ones((outside, 1))
    new = np.arange(outside)
    if op.align_corners:
        place = new * ((inside - 1) / max(outside - 1, 1))
    else:
        place = np.maximum((new + 0.5) * (inside / outside) - 0.5, 0)
    low = np.minimum(place.astype(np.int64), inside - 1)
    high = np.minimum(low + 1, inside - 1)
    part = place - low
    return np.stack([low, high], 1), np.stack([1 - part, part], 1)
