"""Rows: the numbers of one pixel, and how Python hands arrays of their addresses to kernels."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.emit import features

RowType = Literal["bfloat16", "float32"]
Addresses = NDArray[np.int64]  # (n,) of the first number of each row
Floats = NDArray[np.float32]

FLOAT32: Final = 32  # what compiled code knows other arrays of float32 by
STEP_BYTES: Final = 4  # of a row that one multiplication takes: a float32, or two bfloat16
CACHE_LINE: Final = 64
ROW_BYTES: Final[dict[RowType, int]] = {"bfloat16": 2, "float32": 4}


def supports(dtype: RowType) -> bool:
    """Whether this processor computes products of such rows by instructions of its own."""
    return dtype == "float32" or "avx512bf16" in features()


def code(dtype: RowType) -> int:
    """The constant that compiled code knows a row's numbers by: their bits."""
    return 8 * ROW_BYTES[dtype]


def row_zeros(numbers: int, dtype: RowType) -> NDArray[Any]:
    """Zeros that begin at a cache line: vectors that straddle two take twice as long to read."""
    size = numbers * ROW_BYTES[dtype]
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(np.uint16 if dtype == "bfloat16" else np.float32)


def aligned(x: Floats, dtype: RowType) -> NDArray[Any]:
    """Numbers as a row type, in memory that begins at a cache line."""
    copy = row_zeros(x.size, dtype)
    copy[:] = (to_bfloat16(x) if dtype == "bfloat16" else x).ravel()
    return copy


def to_bfloat16(x: Floats) -> NDArray[np.uint16]:
    """The nearest bfloat16 numbers, ties to even, as the upper halves of float32."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = ((bits + ((bits >> 16 & 1) + np.uint32(0x7FFF))) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded)


def from_bfloat16(halves: NDArray[np.uint16]) -> Floats:
    """Bfloat16 numbers as float32."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def pixels(
    count: NDArray[np.int64] | None,
    *addresses: Addresses | None,
    also: tuple[tuple[NDArray[Any] | None, type[np.generic]], ...] = (),
) -> NDArray[np.int64]:
    """How many pixels a call has: `count` (1,), or the length that all its arrays share.

    Raises:
        ValueError: an array is not of int64 (or of what `also` says), not in C order, of another
            length than the others, or shorter than `count`.
    """
    given = [(array, kind) for array, kind in also if array is not None]
    given += [(array, np.int64) for array in addresses if array is not None]
    for array, kind in given:
        if array.dtype != kind or not array.flags.c_contiguous:
            raise ValueError(f"{array.dtype} in place of {np.dtype(kind)}, or not in C order")
    lengths = {len(array) for array, _ in given}
    if len(lengths) > 1 or (count is not None and int(count[0]) > min(lengths)):
        raise ValueError(f"rows of different numbers: {sorted(lengths)}, count {count}")
    return np.array([lengths.pop()], np.int64) if count is None else count


def floats(array: NDArray[Any]) -> Floats:
    """Numbers for each channel, as kernels read them."""
    return np.ascontiguousarray(array, np.float32)


def worth(numbers: int) -> int:
    """Pixels of so many numbers that are worth a piece of their own: some microseconds."""
    return max(1, 16384 // max(1, numbers))
