"""Kernels that reduce rows: over the channels of a pixel, or over the pixels of a stream."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.activation import exp
from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES
from streamdyn.engine.cpu.memory import double, put_number, word
from streamdyn.engine.cpu.rows import (
    FLOAT32,
    ROW_BYTES,
    Addresses,
    Floats,
    RowType,
    code,
    floats,
    pixels,
    worth,
)
from streamdyn.engine.cpu.simd import (
    add_doubles,
    fill_behind,
    load,
    load_doubles,
    magnitude,
    max_lanes,
    maximum,
    splat,
    store,
    sum_lanes,
)

TOTAL_CHANNELS: Final = 8 * LANES  # of all pixels, that one thread adds up


def layer_norm(
    sources: Addresses,
    weight: Floats,
    bias: Floats,
    epsilon: float,
    targets: Addresses,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Normalise each row to mean 0 and variance 1, then `* weight + bias` by channel.

    `targets` may be `sources`.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if weight.shape != bias.shape or weight.ndim != 1:
        raise ValueError(
            f"weight {weight.shape} and bias {bias.shape} are not for one channel each"
        )
    n, channels = pixels(count, sources, targets), len(weight)
    arguments = (sources, floats(weight), floats(bias), float(epsilon), targets, channels)
    return Call(_layer_norm(dtype), n, arguments, least=worth(3 * channels))


def softmax(
    sources: Addresses,
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute exp(row) / sum(exp(row)) for each row. `targets` may be `sources`."""
    n = pixels(count, sources, targets)
    return Call(_softmax(dtype), n, (sources, targets, channels), least=worth(8 * channels))


def difference(
    first: Addresses,
    second: Addresses,
    targets: Floats,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write the largest |first - second| of each pixel, or NaN if any is, to `targets` (n,)."""
    n = pixels(count, first, second, also=((targets, np.float32),))
    return Call(_difference(dtype), n, (first, second, targets, channels), least=worth(channels))


def add_up(
    sources: Addresses,
    factor: float,
    totals: Addresses,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Add each row, times `factor`, to the float64 totals (channels,) at its address in `totals`.

    With a factor of 1 or -1 what was added is taken away again to the last bit, as long as the
    rows do not differ by more than some 2**29 in size (bfloat16: 2**45).
    """
    n = pixels(count, sources, totals)
    columns = -(-channels // TOTAL_CHANNELS)
    arguments = (sources, float(factor), totals, channels)
    # A piece has all pixels: two threads must not add to one total.
    return Call(_add_up(dtype), n, arguments, columns=columns, least=1 << 40)


def read_totals(
    totals: Addresses,
    factor: float,
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write float64 totals (channels,), times `factor`, as rows: a mean, with 1 / pixels."""
    n = pixels(count, totals, targets)
    arguments = (totals, float(factor), targets, channels)
    return Call(_read_totals(dtype), n, arguments, least=worth(channels))


@cache
def _layer_norm(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def layer_norm(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, weight, bias = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        epsilon, targets, channels = double(arguments, 3), word(arguments, 4), word(arguments, 5)
        for i in range(begin, end):
            source, target = word(sources, i), word(targets, i)
            total = splat(0.0)
            for lane in range(0, channels, LANES):
                total = total + load(source + lane * size, dtype, channels - lane)
            mean = sum_lanes(total) / channels
            squares = splat(0.0)
            for lane in range(0, channels, LANES):
                x = load(source + lane * size, dtype, channels - lane) - mean
                x = fill_behind(x, channels - lane, 0.0)
                squares = squares + x * x
            factor = 1.0 / np.sqrt(sum_lanes(squares) / channels + epsilon)
            for lane in range(0, channels, LANES):
                left = channels - lane
                x = (load(source + lane * size, dtype, left) - mean) * factor
                y = x * load(weight + lane * 4, FLOAT32, left)
                store(target + lane * size, y + load(bias + lane * 4, FLOAT32, left), dtype, left)

    return Native(layer_norm)


@cache
def _softmax(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def softmax(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, targets, channels = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        for i in range(begin, end):
            source, target = word(sources, i), word(targets, i)
            most = splat(-np.inf)
            for lane in range(0, channels, LANES):
                x = load(source + lane * size, dtype, channels - lane)
                most = maximum(most, fill_behind(x, channels - lane, -np.inf))
            peak = max_lanes(most)
            total = splat(0.0)
            for lane in range(0, channels, LANES):
                x = exp(load(source + lane * size, dtype, channels - lane) - peak)
                total = total + fill_behind(x, channels - lane, 0.0)
            factor = 1.0 / sum_lanes(total)
            for lane in range(0, channels, LANES):
                x = exp(load(source + lane * size, dtype, channels - lane) - peak)
                store(target + lane * size, x * factor, dtype, channels - lane)

    return Native(softmax)


@cache
def _difference(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def difference(arguments: int, begin: int, end: int, _column: int) -> None:
        first, second = word(arguments, 0), word(arguments, 1)
        targets, channels = word(arguments, 2), word(arguments, 3)
        for i in range(begin, end):
            a, b = word(first, i), word(second, i)
            most = splat(0.0)
            for lane in range(0, channels, LANES):
                left = channels - lane
                x = load(a + lane * size, dtype, left) - load(b + lane * size, dtype, left)
                most = maximum(most, magnitude(x))
            put_number(targets, i, max_lanes(most))

    return Native(difference)


@cache
def _add_up(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def add_up(arguments: int, begin: int, end: int, column: int) -> None:
        sources, factor = word(arguments, 0), double(arguments, 1)
        totals, channels = word(arguments, 2), word(arguments, 3)
        start = column * TOTAL_CHANNELS
        for i in range(begin, end):
            source, total = word(sources, i), word(totals, i)
            for lane in range(start, min(start + TOTAL_CHANNELS, channels), LANES):
                x = load(source + lane * size, dtype, channels - lane)
                add_doubles(total + lane * 8, x * factor, channels - lane)

    return Native(add_up)


@cache
def _read_totals(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def read_totals(arguments: int, begin: int, end: int, _column: int) -> None:
        totals, factor = word(arguments, 0), double(arguments, 1)
        targets, channels = word(arguments, 2), word(arguments, 3)
        for i in range(begin, end):
            total, target = word(totals, i), word(targets, i)
            for lane in range(0, channels, LANES):
                x = load_doubles(total + lane * 8, channels - lane) * factor
                store(target + lane * size, x, dtype, channels - lane)

    return Native(read_totals)
