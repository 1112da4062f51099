"""Vectors of 16 float32 numbers, for compiled code: how kernels read, compute and write rows.

Rows hold float32 or bfloat16 numbers, vectors float32 alone. On processors with narrower
registers LLVM splits them.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types
from numba import types
from numba.core.typing.templates import (
    AbstractTemplate,
    infer_global,
)
from numba.extending import (
    lower_builtin,
    models,
    register_model,
)

from streamdyn.engine.cpu.emit import (
    FLOAT,
    I64,
    INT,
    LITERAL,
    VOID,
    call_llvm,
    emit,
    features,
    pointer,
)

LANES: Final = 16
VECTOR_BYTES: Final = 4 * LANES

I1, I16, I32, F32 = ir.IntType(1), ir.IntType(16), ir.IntType(32), ir.FloatType()
F32S = ir.VectorType(F32, LANES)
I32S = ir.VectorType(I32, LANES)
I16S = ir.VectorType(I16, LANES)
F64S = ir.VectorType(ir.DoubleType(), LANES)


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


def constant(kind: Any, value: Any) -> Any:
    """An LLVM constant; a vector gets `value` in every lane."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count)
    return ir.Constant(kind, value)


def spread(builder: Any, value: Any) -> Any:
    """A number in every lane."""
    kind = ir.VectorType(value.type, LANES)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, constant(I32, 0))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), constant(I32S, 0))


def lanes_below(builder: Any, count: Any) -> Any:
    """The mask of the first `count` lanes."""
    steps = ir.Constant(I32S, [ir.Constant(I32, i) for i in range(LANES)])
    most = constant(I64, LANES)
    fewer = builder.select(builder.icmp_signed("<", count, most), count, most)
    return builder.icmp_signed("<", steps, spread(builder, builder.trunc(fewer, I32)))


def widen(builder: Any, halves: Any) -> Any:
    """Bfloat16 numbers, as integers, to float32."""
    return builder.bitcast(builder.shl(builder.zext(halves, I32S), constant(I32S, 16)), F32S)


def narrow(builder: Any, x: Any) -> Any:
    """Float32 numbers to the nearest bfloat16, ties to even, as integers."""
    if "avx512bf16" in features():
        halves = ir.VectorType(BFloat(), LANES)
        return builder.bitcast(builder.fptrunc(x, halves), I16S)
    bits = builder.bitcast(x, I32S)
    odd = builder.and_(builder.lshr(bits, constant(I32S, 16)), constant(I32S, 1))
    rounded = builder.add(bits, builder.add(odd, constant(I32S, 0x7FFF)))
    not_a_number = builder.fcmp_unordered("uno", x, x)  # which rounding could make infinite
    kept = builder.select(not_a_number, constant(I32S, 0x7FC00000), rounded)
    return builder.trunc(builder.lshr(kept, constant(I32S, 16)), I16S)


class BFloat(ir.Type):  # type: ignore[misc]  # its base has no types
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BFloat)

    def __hash__(self) -> int:
        return hash("bfloat")


def load_lanes(builder: Any, address: Any, bits: int, mask: Any) -> Any:
    """Read numbers of 16 or 32 bits where `mask` is set, and nothing elsewhere; there is 0."""
    kind, name = (I16S, "v16i16") if bits == 16 else (F32S, "v16f32")
    at = pointer(builder, address, kind)
    alignment, other = constant(I32, bits // 8), ir.Constant(kind, None)
    name = f"llvm.masked.load.{name}.p0"
    numbers = call_llvm(builder, name, kind, at, alignment, mask, other)
    return widen(builder, numbers) if bits == 16 else numbers


def store_lanes(builder: Any, address: Any, x: Any, bits: int, mask: Any) -> None:
    """Write numbers of 16 or 32 bits where `mask` is set."""
    numbers, name = (narrow(builder, x), "v16i16") if bits == 16 else (x, "v16f32")
    at = pointer(builder, address, numbers.type)
    name, alignment = f"llvm.masked.store.{name}.p0", constant(I32, bits // 8)
    call_llvm(builder, name, ir.VoidType(), numbers, at, alignment, mask)


@emit(VECTOR, INT, LITERAL, INT)
def load(builder: Any, address: Any, dtype: int, count: Any) -> Any:
    """The first `count` (or 16) numbers of a row, then zeros; no memory behind them is read."""
    return load_lanes(builder, address, dtype & 0xFF, lanes_below(builder, count))


@emit(VOID, INT, VECTOR, LITERAL, INT)
def store(builder: Any, address: Any, x: Any, dtype: int, count: Any) -> None:
    """Write the first `count` (or 16) numbers to a row."""
    store_lanes(builder, address, x, dtype & 0xFF, lanes_below(builder, count))


@emit(VECTOR, FLOAT)
def splat(builder: Any, x: Any) -> Any:
    """A number in all lanes."""
    return spread(builder, x)


@emit(VECTOR, FLOAT, FLOAT, FLOAT)
def triple(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """Three numbers in the first lanes, then zeros."""
    vector = constant(F32S, 0.0)
    for lane, value in enumerate((x, y, z)):
        vector = builder.insert_element(vector, value, constant(I32, lane))
    return vector


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
    return builder.fptrunc(_doubles(builder, address, lanes_below(builder, count)), F32S)


@emit(VOID, INT, VECTOR, INT)
def add_doubles(builder: Any, address: Any, x: Any, count: Any) -> None:
    """Add the first `count` (or 16) lanes to float64 numbers in memory."""
    mask = lanes_below(builder, count)
    total = builder.fadd(_doubles(builder, address, mask), builder.fpext(x, F64S))
    name, alignment = "llvm.masked.store.v16f64.p0", constant(I32, 8)
    at = pointer(builder, address, F64S)
    call_llvm(builder, name, ir.VoidType(), total, at, alignment, mask)


def _doubles(builder: Any, address: Any, mask: Any) -> Any:
    at, alignment, zeros = (
        pointer(builder, address, F64S),
        constant(I32, 8),
        ir.Constant(F64S, None),
    )
    return call_llvm(builder, "llvm.masked.load.v16f64.p0", F64S, at, alignment, mask, zeros)


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


def clip_lanes(builder: Any, x: Any, low: Any, high: Any) -> Any:
    """Numbers cut off at two bounds; what is not a number stays."""
    x = builder.select(builder.fcmp_ordered(">", low, x), low, x)
    return builder.select(builder.fcmp_ordered("<", high, x), high, x)


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
