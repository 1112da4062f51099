"""A kernel with its arguments, and the words that compiled code reads of them."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.emit import Native

# The words of a call's record, then of its arguments.
KERNEL, COUNT, COLUMNS, UNIT, LEAST, MOST, FEW, JOINED, EARLY = range(9)
ARGUMENTS, CLAIMED, RECORD = 9, 32, 48
SHARES: Final = RECORD - CLAIMED  # into which the pieces of a call are cut, at most


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A kernel to run on the pixels of some rows, cut into pieces for threads.

    A kernel is called with the address of its arguments, a range of pixels and a column; pixels
    x columns is the work. A piece has a multiple of `unit` pixels, at least `least` of them (so
    that it is worth its claim) and at most `most` (so that it stays in a cache). Threads share
    out the pixels, and with fewer than `few` the columns: what is larger stays in their caches.
    With `joined` other than 0, and at least so many pixels, the next call continues with each
    piece, all of its columns after all of this one's; both must have the same pixels. An `early`
    call may begin while the one before it still runs: threads that would wait have something to do.
    """

    kernel: Native
    count: NDArray[np.int64]  # (1,) how many pixels, read when the call runs
    arguments: tuple[int | float | NDArray[Any] | None, ...]
    columns: int = 1
    unit: int = 1
    least: int = 1
    most: int = 1 << 40
    few: int = 0
    joined: int = 0
    early: bool = False

    def record(self) -> list[int]:
        """The words that compiled code reads."""
        words = [self.kernel.address, word_of(self.count), self.columns, self.unit]
        words += self.least, self.most, self.few, self.joined, int(self.early)
        words += map(word_of, self.arguments)
        return words + [0] * (RECORD - len(words))


def word_of(value: float | NDArray[Any] | None) -> int:
    """An argument as compiled code reads it: a number, the bits of a double, an address or 0."""
    if isinstance(value, np.ndarray):
        return int(value.__array_interface__["data"][0])
    if isinstance(value, float):
        return int.from_bytes(struct.pack("=d", value), sys.byteorder, signed=True)
    return value or 0
