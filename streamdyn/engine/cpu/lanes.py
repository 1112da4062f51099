"""LLVM's side of vectors: how the functions of `simd` and `tile` build their instructions.

Vectors have 16 lanes; on processors with narrower registers LLVM splits them.
"""

from __future__ import annotations

from typing import Any, Final

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types

from streamdyn.engine.cpu.emit import I64, call_llvm, features, pointer

LANES: Final = 16
VECTOR_BYTES: Final = 4 * LANES

I1, I16, I32, F32 = ir.IntType(1), ir.IntType(16), ir.IntType(32), ir.FloatType()
F32S = ir.VectorType(F32, LANES)
I32S = ir.VectorType(I32, LANES)
I16S = ir.VectorType(I16, LANES)
F64S = ir.VectorType(ir.DoubleType(), LANES)
_MASKED: Final = {I16S: "v16i16", F32S: "v16f32", F64S: "v16f64"}
_BYTES: Final = {I16S: 2, F32S: 4, F64S: 8}


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


def masked_load(builder: Any, address: Any, kind: Any, mask: Any) -> Any:
    """Read elements of a vector where `mask` is set, and nothing elsewhere; there is 0."""
    at, other = pointer(builder, address, kind), ir.Constant(kind, None)
    name = f"llvm.masked.load.{_MASKED[kind]}.p0"
    return call_llvm(builder, name, kind, at, constant(I32, _BYTES[kind]), mask, other)


def masked_store(builder: Any, address: Any, x: Any, mask: Any) -> None:
    """Write elements of a vector where `mask` is set."""
    name, at = f"llvm.masked.store.{_MASKED[x.type]}.p0", pointer(builder, address, x.type)
    call_llvm(builder, name, ir.VoidType(), x, at, constant(I32, _BYTES[x.type]), mask)


def load_lanes(builder: Any, address: Any, bits: int, mask: Any) -> Any:
    """Read numbers of 16 or 32 bits where `mask` is set, and nothing elsewhere; there is 0."""
    if bits == 32:
        return masked_load(builder, address, F32S, mask)
    return widen(builder, masked_load(builder, address, I16S, mask))


def store_lanes(builder: Any, address: Any, x: Any, bits: int, mask: Any) -> None:
    """Write numbers of 16 or 32 bits where `mask` is set."""
    masked_store(builder, address, narrow(builder, x) if bits == 16 else x, mask)


def clip_lanes(builder: Any, x: Any, low: Any, high: Any) -> Any:
    """Numbers cut off at two bounds; what is not a number stays."""
    x = builder.select(builder.fcmp_ordered(">", low, x), low, x)
    return builder.select(builder.fcmp_ordered("<", high, x), high, x)


def interleave(builder: Any, x: Any, y: Any) -> Any:
    """The lanes of two vectors in turn, in one twice as long."""
    count = x.type.count
    order = [ir.Constant(I32, i // 2 + i % 2 * count) for i in range(2 * count)]
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, 2 * count), order))


def join(builder: Any, x: Any, y: Any) -> Any:
    """The lanes of two vectors, one after another."""
    order = [ir.Constant(I32, i) for i in range(2 * LANES)]
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, 2 * LANES), order))


def load_pairs(builder: Any, address: Any, other: Any, mask: Any) -> Any:
    """Bfloat16 numbers of two rows as pairs, for `multiply_add`."""
    rows = [masked_load(builder, row, I16S, mask) for row in (address, other)]
    return builder.bitcast(interleave(builder, *rows), I32S)


def multiply_add(b: Any, total: Any, x: Any, y: Any, bits: int) -> Any:
    """`total + x * y`; with 16 bits, lanes of `x` and `y` are pairs of bfloat16 to multiply."""
    if bits == 32:
        return call_llvm(b, "llvm.fma.v16f32", F32S, x, y, total)
    if "avx512bf16" in features():
        pairs = ir.VectorType(BFloat(), 2 * LANES)
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        return call_llvm(b, name, F32S, total, b.bitcast(x, pairs), b.bitcast(y, pairs))
    for part in (_lower, _upper):
        total = call_llvm(b, "llvm.fma.v16f32", F32S, part(b, x), part(b, y), total)
    return total


def _lower(b: Any, pairs: Any) -> Any:
    return b.bitcast(b.shl(pairs, constant(I32S, 16)), F32S)


def _upper(b: Any, pairs: Any) -> Any:
    return b.bitcast(b.and_(pairs, constant(I32S, 0xFFFF0000)), F32S)
