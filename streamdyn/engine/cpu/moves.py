"""Kernels that move rows: copies, picked channels and mixtures of rows."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.crew import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES
from streamdyn.engine.cpu.memory import copy_bytes, index32, number, word
from streamdyn.engine.cpu.rows import ROW_BYTES, Addresses, Floats, RowType, code, pixels, worth
from streamdyn.engine.cpu.simd import load, splat, store


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


def mix(
    sources: Addresses,
    weights: Floats,
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write the sum of k rows (n, k), each times its weight (n, k): bilinear resize.

    Raises:
        ValueError: the arrays do not fit together.
    """
    n = pixels(count, sources, targets, also=((weights, np.float32),))
    if sources.shape != weights.shape:
        raise ValueError(f"{sources.shape} rows do not fit {weights.shape} weights")
    terms = sources.shape[1]
    return Call(
        _mix(dtype), n, (sources, weights, terms, targets, channels), least=worth(terms * channels)
    )


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


@cache
def _mix(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def mix(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, weights, terms = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        targets, channels = word(arguments, 3), word(arguments, 4)
        for i in range(begin, end):
            target = word(targets, i)
            for lane in range(0, channels, LANES):
                left = channels - lane
                total = splat(0.0)
                for term in range(i * terms, (i + 1) * terms):
                    x = load(word(sources, term) + lane * size, dtype, left)
                    total = total + x * number(weights, term)
                store(target + lane * size, total, dtype, left)

    return Native(mix)
