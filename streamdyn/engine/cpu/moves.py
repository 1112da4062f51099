"""Kernels that move rows: copies, and picked channels."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.memory import copy_bytes, index32, word
from streamdyn.engine.cpu.rows import ROW_BYTES, Addresses, RowType, pixels, worth


def copy(
    sources: Addresses,
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Copy rows: concat, slices and nearest resize are copies from and to the right places."""
    size = channels * ROW_BYTES[dtype]
    return Call(
        _copy(), pixels(count, sources, targets), (sources, targets, size), least=worth(channels)
    )


def pick(
    sources: Addresses,
    indices: NDArray[np.int32],
    targets: Addresses,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write the channels `indices` of each row, in that order, to a row elsewhere."""
    n = pixels(count, sources, targets)
    arguments = (sources, np.ascontiguousarray(indices, np.int32), len(indices), targets)
    return Call(_pick(ROW_BYTES[dtype]), n, arguments, least=worth(len(indices)))


@cache
def _copy() -> Native:
    def copy(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, targets, size = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        for i in range(begin, end):
            copy_bytes(word(sources, i), word(targets, i), size)

    return Native(copy)


@cache
def _pick(size: int) -> Native:
    def pick(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, indices = word(arguments, 0), word(arguments, 1)
        channels, targets = word(arguments, 2), word(arguments, 3)
        for i in range(begin, end):
            source, target = word(sources, i), word(targets, i)
            for channel in range(channels):
                origin = source + index32(indices, channel) * size
                copy_bytes(origin, target + channel * size, size)

    return Native(pick)
