"""Kernels that move rows: addresses, copies, picked channels and mixtures of rows."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.crew import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES
from streamdyn.engine.cpu.memory import copy_bytes, index32, number, put_word, word
from streamdyn.engine.cpu.rows import ROW_BYTES, Addresses, Floats, RowType, code, pixels, worth
from streamdyn.engine.cpu.simd import load, splat, store

RUN: Final = 32  # pixels of a run, more or less


class Steps(NamedTuple):
    """Where the row of each pixel lies, in bytes: origin + y * down + x * right."""

    origin: int
    down: int
    right: int


def addresses(
    places: tuple[NDArray[np.int32], NDArray[np.int32]],
    shape: tuple[int, int] | NDArray[np.int32],
    steps: Steps,
    bases: Addresses,
    ends: NDArray[np.int64],
    targets: Addresses,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write base + origin + y * down + x * right of each pixel to `targets`.

    Args:
        places: y and x (n,) of tiles, in tiles, or of the first pixels of runs along rows.
        shape: the pixels (high, wide) of a tile, or those before each run (n + 1,).
        bases: the address of the map of each stream (streams,).
        ends: the number of tiles, or of pixels, up to the last of each stream (streams,).
        count: (1,) how many tiles or runs there are.

    Raises:
        ValueError: the arrays do not fit together.
    """
    y, x = places
    first = shape if isinstance(shape, np.ndarray) else None
    high, wide = (1, 1) if isinstance(shape, np.ndarray) else shape
    also = (y, np.int32), (x, np.int32), (None if first is None else first[:-1], np.int32)
    n = pixels(count, also=also)
    pixels(None, bases, ends)
    arguments = (y, x, first, high, wide, *steps, bases, ends, targets)
    return Call(_addresses(), n, arguments, least=worth(RUN if first is not None else high * wide))


def looked_up(
    indices: NDArray[np.int32],
    steps: Steps,
    bases: Addresses,
    ends: NDArray[np.int64],
    targets: Addresses,
    *,
    unit: int = 1,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write base + origin + index * right of k rows for each pixel (n, k) to `targets` (n, k).

    Stream s has the pixels up to `ends[s] * unit`, from its `bases[s]` on.

    Raises:
        ValueError: the arrays do not fit together.
    """
    n = pixels(count, targets, also=((indices, np.int32),))
    pixels(None, bases, ends)
    if targets.shape != indices.shape or indices.ndim != 2:
        raise ValueError(f"{indices.shape} indices do not fit {targets.shape} addresses")
    several = indices.shape[1]
    arguments = (indices, several, steps.origin, steps.right, bases, ends, unit, targets)
    return Call(_looked_up(), n, arguments, least=worth(several))


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
def _addresses() -> Native:
    def addresses(arguments: int, begin: int, end: int, _column: int) -> None:
        ys, xs, firsts = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        high, wide = word(arguments, 3), word(arguments, 4)
        origin, down, right = word(arguments, 5), word(arguments, 6), word(arguments, 7)
        bases, ends, targets = word(arguments, 8), word(arguments, 9), word(arguments, 10)
        stream, across = 0, wide
        for each in range(begin, end):
            first = each * high * wide
            if firsts:
                first, across = index32(firsts, each), index32(firsts, each + 1)
                across -= first
            while first >= word(ends, stream) * high * wide:
                stream += 1
            place = index32(ys, each) * high * down + index32(xs, each) * wide * right
            at = word(bases, stream) + origin + place
            for row in range(high):
                for i in range(across):
                    put_word(targets, first + row * across + i, at + row * down + i * right)

    return Native(addresses)


@cache
def _looked_up() -> Native:
    def looked_up(arguments: int, begin: int, end: int, _column: int) -> None:
        indices, several, origin = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        size, bases, ends = word(arguments, 3), word(arguments, 4), word(arguments, 5)
        unit, targets = word(arguments, 6), word(arguments, 7)
        stream = 0
        for i in range(begin, end):
            while i >= word(ends, stream) * unit:
                stream += 1
            base = word(bases, stream) + origin
            for each in range(i * several, (i + 1) * several):
                put_word(targets, each, base + index32(indices, each) * size)

    return Native(looked_up)


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
