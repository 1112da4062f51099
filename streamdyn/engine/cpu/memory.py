"""Numbers in memory, for compiled code, by address and index."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types

from streamdyn.engine.cpu.emit import DOUBLE, FLOAT, I64, INT, LITERAL, VOID, emit, pointer

_F32, _F64 = ir.FloatType(), ir.DoubleType()


@emit(INT, INT, INT)
def word(builder: Any, address: Any, index: Any) -> Any:
    """An int64 of an array."""
    return builder.load(pointer(builder, address, I64, index), align=8)


@emit(VOID, INT, INT, INT)
def put_word(builder: Any, address: Any, index: Any, value: Any) -> None:
    """Write an int64 of an array."""
    builder.store(value, pointer(builder, address, I64, index), align=8)


@emit(INT, INT, INT)
def index32(builder: Any, address: Any, index: Any) -> Any:
    """An int32 of an array."""
    value = builder.load(pointer(builder, address, ir.IntType(32), index), align=4)
    return builder.sext(value, I64)


@emit(FLOAT, INT, INT)
def number(builder: Any, address: Any, index: Any) -> Any:
    """A float32 of an array."""
    return builder.load(pointer(builder, address, _F32, index), align=4)


@emit(VOID, INT, INT, FLOAT)
def put_number(builder: Any, address: Any, index: Any, value: Any) -> None:
    """Write a float32 of an array."""
    builder.store(value, pointer(builder, address, _F32, index), align=4)


@emit(DOUBLE, INT, INT)
def double(builder: Any, address: Any, index: Any) -> Any:
    """A float64 of an array."""
    return builder.load(pointer(builder, address, _F64, index), align=8)


@emit(VOID, INT, INT, INT)
def copy_bytes(builder: Any, source: Any, target: Any, count: Any) -> None:
    """Copy memory that does not overlap."""
    i8, i1 = ir.IntType(8), ir.IntType(1)
    to, origin = pointer(builder, target, i8), pointer(builder, source, i8)
    module = builder.module
    name = "llvm.memcpy.p0.p0.i64"
    function = module.globals.get(name) or ir.Function(
        module, ir.FunctionType(ir.VoidType(), [to.type, origin.type, I64, i1]), name
    )
    builder.call(function, [to, origin, count, ir.Constant(i1, 0)])


@emit(INT, LITERAL)
def scratch(builder: Any, size: int) -> Any:
    """The address of `size` bytes that last as long as the call of the function."""
    with builder.goto_entry_block():
        space = builder.alloca(ir.ArrayType(ir.IntType(8), size))
        space.align = 64
    return builder.ptrtoint(space, I64)
