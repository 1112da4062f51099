"""What threads need to work together, for compiled code: atomic words, waiting, and calls."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types

from streamdyn.engine.cpu.emit import I64, INT, VOID, call_llvm, emit, features, pointer

_I32 = ir.IntType(32)


@emit(INT, INT)
def atomic_read(builder: Any, address: Any) -> Any:
    """The word at an address, as other threads have left it."""
    return builder.load_atomic(pointer(builder, address, I64), "seq_cst", 8)


@emit(VOID, INT, INT)
def atomic_write(builder: Any, address: Any, value: Any) -> None:
    """Write a word; other threads see it after what is written before, and perhaps later."""
    builder.store_atomic(value, pointer(builder, address, I64), "release", 8)


@emit(INT, INT, INT)
def atomic_add(builder: Any, address: Any, value: Any) -> Any:
    """Add to a word; returns what it was."""
    return builder.atomic_rmw("add", pointer(builder, address, I64), value, "seq_cst")


@emit(INT, INT, INT)
def atomic_swap(builder: Any, address: Any, value: Any) -> Any:
    """Write a word; returns what it was."""
    return builder.atomic_rmw("xchg", pointer(builder, address, I64), value, "seq_cst")


@emit(INT, INT, INT, INT)
def atomic_replace(builder: Any, address: Any, expected: Any, value: Any) -> Any:
    """Write a word if it is as expected; returns 1 if it was, else 0."""
    at = pointer(builder, address, I64)
    result = builder.cmpxchg(at, expected, value, "seq_cst", "seq_cst")
    return builder.zext(builder.extract_value(result, 1), I64)


@emit(VOID)
def pause(builder: Any) -> None:
    """Tell the processor that this loop waits for another thread."""
    if "sse2" in features():
        call_llvm(builder, "llvm.x86.sse2.pause", ir.VoidType())


@emit(VOID)
def give_way(builder: Any) -> None:
    """Let another thread of the system run."""
    call_llvm(builder, "sched_yield", _I32)


@emit(VOID, INT)
def sleep(builder: Any, semaphore: Any) -> None:
    """Wait until someone wakes a thread that waits for this semaphore. May return early."""
    call_llvm(builder, "sem_wait", _I32, semaphore)


@emit(VOID, INT)
def wake(builder: Any, semaphore: Any) -> None:
    """Let one thread that waits for this semaphore, now or later, go on."""
    call_llvm(builder, "sem_post", _I32, semaphore)


@emit(VOID, INT, INT, INT, INT, INT)
def invoke(builder: Any, function: Any, arguments: Any, begin: Any, end: Any, column: Any) -> None:
    """Call a kernel by its address."""
    kind = ir.FunctionType(ir.VoidType(), [I64] * 4)
    builder.call(builder.inttoptr(function, kind.as_pointer()), [arguments, begin, end, column])
