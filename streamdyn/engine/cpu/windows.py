"""Kernels that slide a window over each channel on its own: depthwise convolution and pooling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.activation import CLIP, apply
from streamdyn.engine.cpu.activation import arguments as epilogue
from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES, VECTOR_BYTES
from streamdyn.engine.cpu.memory import double, index32, number, scratch, word
from streamdyn.engine.cpu.rows import (
    FLOAT32,
    ROW_BYTES,
    STEP_BYTES,
    Addresses,
    Floats,
    RowType,
    aligned,
    code,
    pixels,
    worth,
)
from streamdyn.engine.cpu.simd import load, maximum, splat, store
from streamdyn.engine.cpu.tile import MOST_SUMS, depthwise_rows, depthwise_tile
from streamdyn.engine.graph import Activation


@dataclass(frozen=True, slots=True, eq=False)
class PackedDepthwise:
    """Depthwise weights in the order in which they are read."""

    dtype: RowType
    taps: int
    channels: int
    steps: int  # of one or two taps
    weights: NDArray[np.uint16] | Floats  # (steps, channels to full vectors, numbers of a step)
    bias: Floats  # (channels to full vectors,)


def pack_depthwise(weight: Floats, bias: Floats, dtype: RowType) -> PackedDepthwise:
    """Arrange weights (taps, channels) and a bias (channels,).

    Raises:
        ValueError: the shapes do not fit together.
    """
    taps, channels = weight.shape
    if bias.shape != (channels,):
        raise ValueError(f"a bias of {bias.shape} does not fit weights of {weight.shape}")
    together = STEP_BYTES // ROW_BYTES[dtype]
    full = np.zeros((-(-taps // together) * together, -(-channels // LANES) * LANES), np.float32)
    full[:taps, :channels] = weight
    steps = full.reshape(-1, together, full.shape[1]).transpose(0, 2, 1)
    wide_bias = np.zeros(full.shape[1], np.float32)
    wide_bias[:channels] = bias
    weights, wide_bias = aligned(steps, dtype), aligned(wide_bias, "float32")
    return PackedDepthwise(dtype, taps, channels, len(steps), weights, wide_bias)


def depthwise(
    sources: Addresses,
    taps: NDArray[np.int64],
    packed: PackedDepthwise,
    targets: Addresses,
    *,
    residual: Addresses | None = None,
    activation: Activation | None = None,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute rows from the rows at `sources` + `taps` (bytes), each channel from its own.

    `targets` may be `residual`, but no row that is read as a source.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if len(taps) != packed.taps:
        raise ValueError(f"{len(taps)} taps for weights of {packed.taps}")
    p, steps = packed, packed.steps
    n, wide = pixels(count, sources, targets, residual), len(packed.bias)
    # Beyond the last tap the weights are 0, and any tap will do.
    full = np.resize(taps.astype(np.int64), steps * STEP_BYTES // ROW_BYTES[p.dtype])
    arguments = (
        *(sources, full, steps, p.weights, p.bias, p.channels, wide, residual, targets),
        *epilogue(activation),
    )
    least = worth(p.taps * p.channels)
    return Call(_depthwise(p.dtype), n, arguments, unit=depthwise_rows(), least=least)


def pool(
    sources: Addresses,
    taps: NDArray[np.int64],
    kind: Literal["max", "average"],
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    windows: NDArray[np.int32] | None = None,
    divisors: Floats | None = None,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute the maximum or average of the rows at `sources` + `taps` (height, width), in bytes.

    `windows` (n, 4) says which taps count: rows from, to, columns from, to; by default all. An
    average is the sum of these over `divisors` (n,), by default over their number.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if windows is not None and windows.shape[1:] != (4,):
        raise ValueError(f"windows have 4 bounds, got {windows.shape}")
    n = pixels(count, sources, targets, also=((windows, np.int32), (divisors, np.float32)))
    offsets, (height, width) = np.ascontiguousarray(taps, np.int64), taps.shape
    arguments = (sources, offsets, height, width, windows, divisors, targets, channels)
    kernel = _maximum(dtype) if kind == "max" else _average(dtype)
    return Call(kernel, n, arguments, least=worth(taps.size * channels))


@cache
def _depthwise(row_type: RowType) -> Native:
    dtype, size, rows = code(row_type), ROW_BYTES[row_type], depthwise_rows()

    def depthwise(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, taps, steps = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        weights, bias, channels = word(arguments, 3), word(arguments, 4), word(arguments, 5)
        step_bytes = STEP_BYTES * word(arguments, 6)
        residuals, targets, kind = word(arguments, 7), word(arguments, 8), word(arguments, 9)
        low, high, slope = double(arguments, 10), double(arguments, 11), double(arguments, 12)
        sums = scratch(MOST_SUMS)
        for first in range(begin, end, rows):
            last = end - 1 - first
            for lane in range(0, channels, LANES):
                left, at = channels - lane, lane * size
                depthwise_tile(
                    rows, dtype, sources + 8 * first, last, taps, steps,
                    weights + lane * STEP_BYTES, step_bytes, bias + lane * 4,
                    residuals + 8 * first if residuals else 0, targets + 8 * first,
                    at, left, low, high, 0 if kind == CLIP else sums,
                )  # fmt: skip
                if kind != CLIP:
                    for row in range(min(rows, last + 1)):
                        x = load(sums + row * VECTOR_BYTES, FLOAT32, LANES)
                        y = apply(x, kind, low, high, slope)
                        store(word(targets, first + row) + at, y, dtype, left)

    return Native(depthwise)


@cache
def _maximum(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def max_pool(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, taps, windows = word(arguments, 0), word(arguments, 1), word(arguments, 4)
        width, targets, channels = word(arguments, 3), word(arguments, 6), word(arguments, 7)
        top, bottom, left, right = 0, word(arguments, 2), 0, width
        for i in range(begin, end):
            source, target = word(sources, i), word(targets, i)
            if windows:
                top, bottom = index32(windows, 4 * i), index32(windows, 4 * i + 1)
                left, right = index32(windows, 4 * i + 2), index32(windows, 4 * i + 3)
            for lane in range(0, channels, LANES):
                at = source + lane * size
                most = splat(-np.inf)
                for row in range(top, bottom):
                    for tap in range(row * width + left, row * width + right):
                        x = load(at + word(taps, tap), dtype, channels - lane)
                        most = maximum(most, x)
                store(target + lane * size, most, dtype, channels - lane)

    return Native(max_pool)


@cache
def _average(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def average_pool(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, taps, windows = word(arguments, 0), word(arguments, 1), word(arguments, 4)
        width, targets, channels = word(arguments, 3), word(arguments, 6), word(arguments, 7)
        top, bottom, left, right = 0, word(arguments, 2), 0, width
        divisors = word(arguments, 5)
        for i in range(begin, end):
            source, target = word(sources, i), word(targets, i)
            if windows:
                top, bottom = index32(windows, 4 * i), index32(windows, 4 * i + 1)
                left, right = index32(windows, 4 * i + 2), index32(windows, 4 * i + 3)
            taken = (bottom - top) * (right - left)
            factor = 1.0 / (number(divisors, i) if divisors else taken)
            for lane in range(0, channels, LANES):
                at = source + lane * size
                total = splat(0.0)
                for row in range(top, bottom):
                    for tap in range(row * width + left, row * width + right):
                        total = total + load(at + word(taps, tap), dtype, channels - lane)
                store(target + lane * size, total * factor, dtype, channels - lane)

    return Native(average_pool)
