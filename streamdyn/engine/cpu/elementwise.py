"""Kernels that compute each number of a row from the same channel of one or two rows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.activation import apply
from streamdyn.engine.cpu.activation import arguments as epilogue
from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native, inlined
from streamdyn.engine.cpu.lanes import LANES
from streamdyn.engine.cpu.memory import double, word
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
from streamdyn.engine.cpu.simd import first_lane, load, maximum, minimum, splat, store
from streamdyn.engine.graph import Activation, BinaryKind

if TYPE_CHECKING:
    from streamdyn.engine.cpu.simd import Vector

_KINDS: Final[tuple[str, ...]] = get_args(BinaryKind)
ADD: Final = _KINDS.index("add")
SUBTRACT: Final = _KINDS.index("subtract")
MULTIPLY: Final = _KINDS.index("multiply")
DIVIDE: Final = _KINDS.index("divide")
MAXIMUM: Final = _KINDS.index("maximum")


def affine(
    sources: Addresses,
    scale: Floats,
    shift: Floats,
    targets: Addresses,
    dtype: RowType,
    *,
    activation: Activation | None = None,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute `activation(row * scale + shift)` with a scale and shift for each channel.

    `targets` may be `sources`.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if scale.shape != shift.shape or scale.ndim != 1:
        raise ValueError(
            f"scale {scale.shape} and shift {shift.shape} are not for one channel each"
        )
    n, channels = pixels(count, sources, targets), len(scale)
    arguments = (sources, floats(scale), floats(shift), targets, channels, *epilogue(activation))
    return Call(_affine(dtype), n, arguments, least=worth(channels))


def activate(
    sources: Addresses,
    activation: Activation,
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute `activation(row)`. `targets` may be `sources`."""
    n = pixels(count, sources, targets)
    arguments = (sources, None, None, targets, channels, *epilogue(activation))
    return Call(_affine(dtype), n, arguments, least=worth(channels))


def binary(
    first: Addresses,
    second: Addresses,
    kind: BinaryKind,
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    one_channel: bool = False,
    activation: Activation | None = None,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute `activation(first <kind> second)`.

    `second` has a row for each pixel, or (1,) for all; with `one_channel` its rows have a single
    number, for all channels. `targets` may be `first` or `second`.
    """
    each = len(second) > 1
    n = pixels(count, first, targets, second if each else None)
    arguments = (first, second, int(each), int(one_channel), _KINDS.index(kind), targets, channels)
    return Call(_binary(dtype), n, (*arguments, *epilogue(activation)), least=worth(channels))


@cache
def _affine(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def affine(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, scale, shift = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        targets, channels, kind = word(arguments, 3), word(arguments, 4), word(arguments, 5)
        low, high, slope = double(arguments, 6), double(arguments, 7), double(arguments, 8)
        for i in range(begin, end):
            source, target = word(sources, i), word(targets, i)
            for lane in range(0, channels, LANES):
                left = channels - lane
                x = load(source + lane * size, dtype, left)
                if scale:
                    factor = load(scale + lane * 4, FLOAT32, left)
                    x = x * factor + load(shift + lane * 4, FLOAT32, left)
                store(target + lane * size, apply(x, kind, low, high, slope), dtype, left)

    return Native(affine)


@inlined
def _combine(x: Vector, y: Vector, kind: int) -> Vector:
    if kind == ADD:
        z = x + y
    elif kind == SUBTRACT:
        z = x - y
    elif kind == MULTIPLY:
        z = x * y
    elif kind == DIVIDE:
        z = x / y
    elif kind == MAXIMUM:
        z = maximum(x, y)
    else:
        z = minimum(x, y)
    return z


@cache
def _binary(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def binary(arguments: int, begin: int, end: int, _column: int) -> None:
        first, second, each = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        one_channel, operation = word(arguments, 3), word(arguments, 4)
        targets, channels, kind = word(arguments, 5), word(arguments, 6), word(arguments, 7)
        low, high, slope = double(arguments, 8), double(arguments, 9), double(arguments, 10)
        for i in range(begin, end):
            a, b, target = word(first, i), word(second, i * each), word(targets, i)
            y = splat(first_lane(load(b, dtype, 1)))
            for lane in range(0, channels, LANES):
                left = channels - lane
                x = load(a + lane * size, dtype, left)
                if not one_channel:
                    y = load(b + lane * size, dtype, left)
                z = apply(_combine(x, y, operation), kind, low, high, slope)
                store(target + lane * size, z, dtype, left)

    return Native(binary)
