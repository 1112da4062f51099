"""Compiled code: functions of addresses, and the LLVM instructions that Numba has no name for.

Numba compiles a function when it is first used, and keeps it on disk: in `__pycache__` or, where
that cannot be written, in the user's cache folder (`NUMBA_CACHE_DIR` chooses another). Functions
here work on addresses, so they need neither array objects nor the interpreter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from zlib import crc32

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types
import numba
from numba import types
from numba.core.ccallback import CFunc
from numba.core.registry import cpu_target
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

LITERAL: Final = object()
"""A parameter that must be a constant; `build` receives its Python value."""

VOID: Final = types.void
INT: Final = types.int64
FLOAT: Final = types.float32
DOUBLE: Final = types.float64

I64: Final = ir.IntType(64)


def emit(result: Any, *parameters: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function that compiled code can call out of one that builds its instructions.

    The decorated function receives an `IRBuilder` and one LLVM value for each of `parameters`,
    which are Numba types or `LITERAL`, and returns the LLVM value of type `result`.
    """

    def decorate(build: Callable[..., Any]) -> Callable[..., Any]:
        def typing(_context: Any, *given: Any) -> Any:
            if any(
                p is LITERAL and not isinstance(g, types.IntegerLiteral)
                for p, g in zip(parameters, given, strict=True)
            ):
                return None
            taken = [g if p is LITERAL else p for p, g in zip(parameters, given, strict=True)]

            def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                known = [
                    kind.literal_value if p is LITERAL else value
                    for p, kind, value in zip(parameters, signature.args, values, strict=True)
                ]
                value = build(builder, *known)
                return context.get_dummy_value() if result is VOID else value

            return result(*taken), generate

        typing.__signature__ = _positional(1 + len(parameters))  # type: ignore[attr-defined]  # PEP 362
        typing.__name__, typing.__doc__ = build.__name__, build.__doc__
        made: Callable[..., Any] = intrinsic(prefer_literal=True)(typing)
        return made

    return decorate


def _positional(count: int) -> inspect.Signature:
    """The signature by which Numba knows how many parameters there are."""
    kind = inspect.Parameter.POSITIONAL_ONLY
    return inspect.Signature([inspect.Parameter(f"p{i}", kind) for i in range(count)])


def inlined(function: F) -> F:
    """Let kernels call a function that is written like a kernel, at no cost."""
    compiled: Any = numba.njit(error_model="numpy", forceinline=True)(function)
    return cast(F, compiled)


class Native:
    """A compiled function of int64 numbers, most of them addresses, that returns nothing.

    Called from Python it lets other threads run, and costs about a microsecond.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        parameters = (INT,) * len(inspect.signature(function).parameters)
        signature: Any = parameters, VOID
        self._compiled = _Kept(function, signature, {}, {"error_model": "numpy"})
        with suppress(RuntimeError):  # no folder can be written: compile in each process
            self._compiled.enable_caching()
        self._compiled.compile()
        self.address = cast(int, self._compiled.address)
        self._call = self._compiled.ctypes

    def __call__(self, *arguments: int) -> None:
        self._call(*arguments)


class _Kept(CFunc):
    """A function that is kept on disk until the source of this package changes.

    Numba itself looks at the file of the function, and not at the functions that it calls.
    """

    def enable_caching(self) -> None:
        super().enable_caching()
        kept = self._cache._cache_file  # type: ignore[attr-defined]  # has no types
        kept._source_stamp = kept._source_stamp, edition()


@cache
def features() -> frozenset[str]:
    """What compiled code may use, as LLVM names it: "avx2", "avx512bw", "avx512bf16"...

    That is what the processor can do, unless Numba is told otherwise (`NUMBA_CPU_FEATURES`).
    """
    _, _, listed = cpu_target.target_context.codegen().magic_tuple()
    return frozenset(name[1:] for name in listed.split(",") if name.startswith("+"))


@cache
def edition() -> int:
    """A fingerprint of this package's source."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return crc32(b"".join(path.read_bytes() for path in sources))


def call_llvm(
    builder: Any, name: str, result: Any, *values: Any, flags: tuple[str, ...] = ()
) -> Any:
    """Call an LLVM intrinsic or a C function by its name, with fast-math flags if given."""
    module = builder.module
    function = module.globals.get(name) or ir.Function(
        module, ir.FunctionType(result, [value.type for value in values]), name
    )
    return builder.call(function, values, fastmath=flags)


def pointer(builder: Any, address: Any, kind: Any, index: Any = None) -> Any:
    """An address as a pointer to `kind`, moved on by `index` elements."""
    to = builder.inttoptr(address, kind.as_pointer())
    return to if index is None else builder.gep(to, [index])
