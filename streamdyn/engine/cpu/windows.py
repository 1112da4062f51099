"""Kernels that slide a window over each channel on its own: depthwise convolution and pooling."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.activation import apply
from streamdyn.engine.cpu.activation import arguments as epilogue
from streamdyn.engine.cpu.crew import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.memory import double, index32, number, word
from streamdyn.engine.cpu.rows import (
    FLOAT32,
    ROW_BYTES,
    Addresses,
    Floats,
    RowType,
    code,
    pixels,
    worth,
)
from streamdyn.engine.cpu.simd import LANES, load, maximum, splat, store
from streamdyn.engine.graph import Activation


def depthwise(
    sources: Addresses,
    taps: NDArray[np.int64],
    weights: Floats,
    bias: Floats,
    targets: Addresses,
    dtype: RowType,
    *,
    residual: Addresses | None = None,
    activation: Activation | None = None,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute rows from the rows at `sources` + `taps` (bytes) times `weights` (taps, channels).

    `targets` may be `residual`, but no row that is read as a source.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if weights.shape != (len(taps), *bias.shape):
        raise ValueError(f"{len(taps)} taps, weights {weights.shape} and bias {bias.shape}")
    channels = len(bias)
    return Call(
        _depthwise(dtype),
        pixels(count, sources, targets, residual),
        (
            *(sources, taps, len(taps), weights, bias, channels, residual, targets),
            *epilogue(activation),
        ),
        unit=4,
        least=worth(len(taps) * channels),
    )


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
    height, width = taps.shape
    kernel = _maximum(dtype) if kind == "max" else _average(dtype)
    return Call(
        kernel,
        pixels(count, sources, targets, windows, divisors),
        (sources, taps, height, width, windows, divisors, targets, channels),
        least=worth(taps.size * channels),
    )


@cache
def _depthwise(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def depthwise(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, taps, tap_count = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        weights, bias, channels = word(arguments, 3), word(arguments, 4), word(arguments, 5)
        residuals, targets, kind = word(arguments, 6), word(arguments, 7), word(arguments, 8)
        low, high, slope = double(arguments, 9), double(arguments, 10), double(arguments, 11)
        for i in range(begin, end, 4):  # 4 pixels share each weight; the last may come again
            j, k, m = min(i + 1, end - 1), min(i + 2, end - 1), min(i + 3, end - 1)
            si, sj, sk, sm = word(sources, i), word(sources, j), word(sources, k), word(sources, m)
            ti, tj, tk, tm = word(targets, i), word(targets, j), word(targets, k), word(targets, m)
            for lane in range(0, channels, LANES):
                left, at = channels - lane, lane * size
                xi = load(bias + lane * 4, FLOAT32, left)
                xj = xk = xm = xi
                for tap in range(tap_count):
                    moved = word(taps, tap) + at
                    weight = load(weights + (tap * channels + lane) * 4, FLOAT32, left)
                    xi = xi + load(si + moved, dtype, left) * weight
                    xj = xj + load(sj + moved, dtype, left) * weight
                    xk = xk + load(sk + moved, dtype, left) * weight
                    xm = xm + load(sm + moved, dtype, left) * weight
                if residuals:
                    xi = xi + load(word(residuals, i) + at, dtype, left)
                    xj = xj + load(word(residuals, j) + at, dtype, left)
                    xk = xk + load(word(residuals, k) + at, dtype, left)
                    xm = xm + load(word(residuals, m) + at, dtype, left)
                store(ti + at, apply(xi, kind, low, high, slope), dtype, left)
                store(tj + at, apply(xj, kind, low, high, slope), dtype, left)
                store(tk + at, apply(xk, kind, low, high, slope), dtype, left)
                store(tm + at, apply(xm, kind, low, high, slope), dtype, left)

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
