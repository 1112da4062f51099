"""Vectors of 16 float32 numbers, for compiled code: how kernels read, compute and write rows.

Rows hold float32 or bfloat16 numbers, vectors float32 alone. On processors with narrower
registers LLVM splits them.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import lower_builtin, models, register_model

from streamdyn.engine.cpu.emit import FLOAT, I64, INT, LITERAL, VOID, call_llvm, emit
from streamdyn.engine.cpu.lanes import (
    F32,
    F32S,
    F64S,
    I32,
    I32S,
    LANES,
    clip_lanes,
    constant,
    join,
    lanes_below,
    load_lanes,
    masked_load,
    masked_store,
    narrow,
    spread,
    store_lanes,
)


class _VectorType(types.Type):
    def __init__(self) -> None:
        super().__init__("vector")


VECTOR: Final = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, F32S)  # type: ignore[no-untyped-call]  # Numba gives none


if TYPE_CHECKING:

    class Vector:
        """16 float32 numbers in registers. Exists in compiled code alone."""

        def __add__(self, other: Vector | float) -> Vector: ...
        def __sub__(self, other: Vector | float) -> Vector: ...
        def __mul__(self, other: Vector | float) -> Vector: ...
        def __truediv__(self, other: Vector | float) -> Vector: ...
        def __radd__(self, other: float) -> Vector: ...
        def __rsub__(self, other: float) -> Vector: ...
        def __rmul__(self, other: float) -> Vector: ...
        def __rtruediv__(self, other: float) -> Vector: ...


@emit(VECTOR, INT, LITERAL, INT)
def load(builder: Any, address: Any, dtype: int, count: Any) -> Any:
    """The first `count` (or 16) numbers of a row, then zeros; no memory behind them is read."""
    return load_lanes(builder, address, dtype, lanes_below(builder, count))


@emit(VOID, INT, VECTOR, LITERAL, INT)
def store(builder: Any, address: Any, x: Any, dtype: int, count: Any) -> None:
    """Write the first `count` (or 16) numbers to a row."""
    store_lanes(builder, address, x, dtype, lanes_below(builder, count))


@emit(VECTOR, FLOAT)
def splat(builder: Any, x: Any) -> Any:
    """A number in all lanes."""
    return spread(builder, x)


@emit(VOID, INT, INT, INT, INT, LITERAL)
def store_colours(
    builder: Any, target: Any, source: Any, plane: Any, count: Any, dtype: int
) -> None:
    """Write up to 16 rows of three colours, from three planes of float32.

    The planes lie `plane` bytes apart; of a row nothing is read nor written beyond `count` pixels.
    """
    b, mask = builder, lanes_below(builder, count)
    places = [b.add(source, b.mul(plane, constant(I64, n))) for n in range(3)]
    colours = [masked_load(b, place, F32S, mask) for place in places]
    if dtype == 16:
        colours = [narrow(b, colour) for colour in colours]
    pairs = [join(b, colours[0], colours[1]), join(b, colours[2], colours[2])]
    numbers = b.mul(count, constant(I64, 3))
    for first in range(0, 3 * LANES, LANES):
        pixels = [divmod(first + lane, 3) for lane in range(LANES)]
        order = [ir.Constant(I32, colour * LANES + pixel) for pixel, colour in pixels]
        part = b.shuffle_vector(*pairs, ir.Constant(I32S, order))
        at = b.add(target, constant(I64, first * dtype // 8))
        masked_store(b, at, part, lanes_below(b, b.sub(numbers, constant(I64, first))))


@emit(FLOAT, VECTOR)
def first_lane(builder: Any, x: Any) -> Any:
    """The number in the first lane."""
    return builder.extract_element(x, constant(I32, 0))


@emit(VECTOR, VECTOR, INT, FLOAT)
def fill_behind(builder: Any, x: Any, count: Any, value: Any) -> Any:
    """The first `count` (or 16) lanes of a vector, and `value` behind them."""
    return builder.select(lanes_below(builder, count), x, spread(builder, value))


@emit(VECTOR, INT, INT)
def load_doubles(builder: Any, address: Any, count: Any) -> Any:
    """The first `count` (or 16) of some float64 numbers, then zeros."""
    return builder.fptrunc(masked_load(builder, address, F64S, lanes_below(builder, count)), F32S)


@emit(VOID, INT, VECTOR, INT)
def add_doubles(builder: Any, address: Any, x: Any, count: Any) -> None:
    """Add the first `count` (or 16) lanes to float64 numbers in memory."""
    mask = lanes_below(builder, count)
    total = builder.fadd(masked_load(builder, address, F64S, mask), builder.fpext(x, F64S))
    masked_store(builder, address, total, mask)


def _arithmetic(function: Any, instruction: str) -> None:
    """Let compiled code apply an operator to two vectors, or to a vector and a number."""

    @infer_global(function)  # type: ignore[no-untyped-call]  # Numba gives none
    class _Template(AbstractTemplate):
        key = function

        def generic(self, given: Any, keywords: Any) -> Any:
            numbers = (_VectorType, types.Number)
            if VECTOR in given and all(isinstance(kind, numbers) for kind in given):
                return VECTOR(*(kind if kind is VECTOR else FLOAT for kind in given))
            return None

    def build(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        vectors = [v if v.type == F32S else spread(builder, v) for v in values]
        return getattr(builder, instruction)(*vectors, flags=("contract",))

    for kinds in ((VECTOR, VECTOR), (VECTOR, FLOAT), (FLOAT, VECTOR)):
        lower_builtin(function, *kinds)(build)  # type: ignore[no-untyped-call]  # as above


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")


@emit(VECTOR, VECTOR, FLOAT, FLOAT)
def clip(builder: Any, x: Any, low: Any, high: Any) -> Any:
    """Numbers cut off at two bounds; what is not a number stays."""
    return clip_lanes(builder, x, spread(builder, low), spread(builder, high))


@emit(VECTOR, VECTOR, VECTOR)
def maximum(builder: Any, x: Any, y: Any) -> Any:
    """The larger of two numbers, or not a number if either is not."""
    return call_llvm(builder, "llvm.maximum.v16f32", F32S, x, y, flags=("nsz",))


@emit(VECTOR, VECTOR, VECTOR)
def minimum(builder: Any, x: Any, y: Any) -> Any:
    """The smaller of two numbers, or not a number if either is not."""
    return call_llvm(builder, "llvm.minimum.v16f32", F32S, x, y, flags=("nsz",))


@emit(VECTOR, VECTOR)
def magnitude(builder: Any, x: Any) -> Any:
    """The number without its sign."""
    return call_llvm(builder, "llvm.fabs.v16f32", F32S, x)


@emit(VECTOR, VECTOR, VECTOR)
def copysign(builder: Any, x: Any, sign: Any) -> Any:
    """The number with the sign of another."""
    return call_llvm(builder, "llvm.copysign.v16f32", F32S, x, sign)


@emit(VECTOR, VECTOR, VECTOR)
def shift_exponent(builder: Any, x: Any, rounded: Any) -> Any:
    """`x * 2**n`, for `rounded` = n + 1.5 * 2**23: a sum that leaves n in the lowest bits."""
    n = builder.shl(builder.bitcast(rounded, I32S), constant(I32S, 23))
    power = builder.bitcast(builder.add(n, constant(I32S, 0x3F800000)), F32S)
    return builder.fmul(x, power)


@emit(FLOAT, VECTOR)
def sum_lanes(builder: Any, x: Any) -> Any:
    """The sum of all lanes, in an order that keeps the processor's lanes busy."""
    for step in (8, 4, 2, 1):
        order = [ir.Constant(I32, (lane + step) % LANES) for lane in range(LANES)]
        x = builder.fadd(x, builder.shuffle_vector(x, x, ir.Constant(I32S, order)))
    return builder.extract_element(x, constant(I32, 0))


@emit(FLOAT, VECTOR)
def max_lanes(builder: Any, x: Any) -> Any:
    """The largest lane, or not a number if any lane is not."""
    return call_llvm(builder, "llvm.vector.reduce.fmaximum.v16f32", F32, x, flags=("nsz",))
