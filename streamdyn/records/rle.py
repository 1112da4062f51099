"""Masks as COCO run lengths."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]  # ships no types


class Rle(TypedDict):
    """A mask in COCO's compressed run-length encoding."""

    size: list[int]  # [height, width]
    counts: str


def to_rle(mask: NDArray[np.bool_]) -> Rle:
    """Encode a mask (H, W).

    >>> to_rle(np.eye(2, dtype=bool))
    {'size': [2, 2], 'counts': '0120'}
    """
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode("ascii")}


def from_rle(rle: Rle) -> NDArray[np.bool_]:
    """Decode a mask (H, W).

    Raises:
        ValueError: the run lengths do not fit the size.
    """
    height, width = rle["size"]
    # Not by pycocotools: it leaves memory as it was where the runs end early.
    runs = _runs(rle["counts"])
    if min(height, width) < 1 or runs.sum() != height * width:
        raise ValueError(f"run lengths that do not fill a mask of {height}x{width} px")
    seen = np.arange(len(runs)) % 2 == 1
    mask: NDArray[np.bool_] = seen.repeat(runs).reshape(width, height).T
    return mask


def _runs(counts: str) -> NDArray[np.int64]:
    """Run lengths down the columns, of what is outside and inside of the mask in turn.

    Each is said in digits of 5 bits, lowest first; bit 5 of a character tells that more follow,
    and bit 4 of the last one is the sign. From the fourth on, it is the difference from the last
    but one that is said.
    """
    codes = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - ord("0")
    last = np.flatnonzero(codes & 32 == 0)
    lengths = np.diff(last, prepend=-1)
    ends_well = len(last) and last[-1] == len(codes) - 1
    if not ends_well or codes.min() < 0 or codes.max() > 63 or lengths.max() > 7:
        raise ValueError("characters that are no run lengths")
    starts = last - lengths + 1
    digit = np.arange(len(codes)) - starts.repeat(lengths)
    runs = np.add.reduceat((codes & 31) << 5 * digit, starts)
    runs -= (codes[last] & 16) << (5 * lengths - 4)
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    if runs.min() < 0:
        raise ValueError("negative run lengths")
    return runs
