"""Sums in registers: what the inner loops of products build up, and how they end in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types
from numba.core import cgutils

from streamdyn.engine.cpu.emit import I64, call_llvm, pointer
from streamdyn.engine.cpu.lanes import (
    F32,
    F32S,
    I1,
    I16,
    I32,
    I32S,
    LANES,
    clip_lanes,
    constant,
    load_lanes,
    load_pairs,
    multiply_add,
    spread,
    store_lanes,
)

CACHE_LINE: Final = 64
FIRST_CACHE, SECOND_CACHE = 3, 2  # of the three, as LLVM counts them


class Sums:
    """Sums of `rows` x `vectors` vectors, kept in registers, and what is done to them."""

    def __init__(self, builder: Any, rows: int, vectors: int, bits: int) -> None:
        self.builder, self.vectors, self.bits = builder, vectors, bits
        place: Callable[..., Any] = cgutils.alloca_once
        self._sums = [[place(builder, F32S) for _ in range(vectors)] for _ in range(rows)]

    def start(self, bias: Any) -> None:
        """All rows begin as the bias."""
        b, at = self.builder, pointer(self.builder, bias, F32S)
        values = [b.load(b.gep(at, [constant(I64, i)]), align=4) for i in range(self.vectors)]
        for sums in self._sums:
            for value, place in zip(values, sums, strict=True):
                b.store(value, place)

    def accumulate(
        self, rows: list[Any], steps: Any, odd: Any, weights: Any, ahead: Any, stride: Any
    ) -> None:
        """Add the products of `steps` numbers of each row, or pairs of bfloat16, and weights.

        With `odd` other than 0, half a pair more: what lies behind it may be no number at all.
        Meanwhile memory from `ahead` on is brought closer, `stride` bytes with each step.
        """
        b = self.builder
        numbers = [pointer(b, row, I32 if self.bits == 16 else F32) for row in rows]
        at = pointer(b, weights, I32S if self.bits == 16 else F32S)
        with cgutils.for_range(b, steps) as loop:
            wanted = b.add(ahead, b.mul(loop.index, stride))
            for line in (0, CACHE_LINE):
                _fetch(b, b.add(wanted, constant(I64, line)), SECOND_CACHE)
            factors = self._factors(at, loop.index)
            for row, sums in zip(numbers, self._sums, strict=True):
                x = spread(b, b.load(b.gep(row, [loop.index]), align=self.bits // 8))
                self._add_products(x, factors, sums)
        if self.bits == 16:
            with b.if_then(b.icmp_signed("!=", odd, constant(I64, 0))):
                factors = self._factors(at, steps)
                for row, sums in zip(rows, self._sums, strict=True):
                    half = b.load(pointer(b, row, I16, b.shl(steps, constant(I64, 1))), align=2)
                    self._add_products(spread(b, b.zext(half, I32)), factors, sums)

    def _factors(self, weights: Any, step: Any) -> list[Any]:
        """The weights of a step."""
        b, first = self.builder, self.builder.mul(step, constant(I64, self.vectors))
        places = [b.add(first, constant(I64, i)) for i in range(self.vectors)]
        return [b.load(b.gep(weights, [place]), align=4) for place in places]

    def _add_products(self, x: Any, factors: list[Any], sums: list[Any]) -> None:
        b = self.builder
        for factor, place in zip(factors, sums, strict=True):
            b.store(multiply_add(b, b.load(place), x, factor, self.bits), place)

    def accumulate_own(self, rows: list[tuple[Any, Any]], weights: Any, mask: Any) -> None:
        """Add the product of each channel and its weight, of two taps at once if bfloat16."""
        b = self.builder
        kind = I32S if self.bits == 16 else F32S
        factor = b.load(pointer(b, weights, kind), align=4)
        for (row, other), (place,) in zip(rows, self._sums, strict=True):
            x = load_pairs(b, row, other, mask) if self.bits == 16 else load_lanes(b, row, 32, mask)
            b.store(multiply_add(b, b.load(place), x, factor, self.bits), place)

    def add(self, rows: list[Any], mask: Any) -> None:
        """Add rows of memory."""
        b = self.builder
        for row, sums in zip(rows, self._sums, strict=True):
            for i, place in enumerate(sums):
                x = load_lanes(b, self._part(row, i), self.bits, self._mask(i, mask))
                b.store(b.fadd(b.load(place), x), place)

    def prefetch(self, rows: list[Any]) -> None:
        """Begin to bring rows of memory closer."""
        for row in rows:
            for line in range(0, self.vectors * LANES * self.bits // 8, CACHE_LINE):
                _fetch(self.builder, self.builder.add(row, constant(I64, line)), FIRST_CACHE)

    def clip(self, low: Any, high: Any) -> None:
        """Cut all sums off at two numbers."""
        b = self.builder
        bounds = spread(b, low), spread(b, high)
        for sums in self._sums:
            for place in sums:
                b.store(clip_lanes(b, b.load(place), *bounds), place)

    def write(self, rows: list[Any], mask: Any) -> None:
        """Write the sums to rows of memory."""
        b = self.builder
        for row, sums in zip(rows, self._sums, strict=True):
            for i, place in enumerate(sums):
                store_lanes(b, self._part(row, i), b.load(place), self.bits, self._mask(i, mask))

    def dump(self, scratch: Any) -> None:
        """Write the sums as they are, row after row, each as long as the tile is wide."""
        b, at = self.builder, pointer(self.builder, scratch, F32S)
        for i, place in enumerate(place for sums in self._sums for place in sums):
            b.store(b.load(place), b.gep(at, [constant(I64, i)]), align=4)

    def _part(self, row: Any, vector: int) -> Any:
        return self.builder.add(row, constant(I64, vector * LANES * self.bits // 8))

    def _mask(self, vector: int, last: Any) -> Any:
        return last if vector == self.vectors - 1 else constant(ir.VectorType(I1, LANES), 1)

    def finish(self, targets: list[Any], mask: Any, low: Any, high: Any, scratch: Any) -> None:
        """Cut off and write the sums or, with `scratch` other than 0, dump them there."""
        b = self.builder
        with b.if_else(b.icmp_signed("==", scratch, constant(I64, 0))) as (finished, raw):
            with finished:
                self.clip(low, high)
                self.write(targets, mask)
            with raw:
                self.dump(scratch)


def _fetch(builder: Any, address: Any, level: int) -> None:
    """Begin to bring a line of memory into a cache. The address need not exist."""
    at = pointer(builder, address, ir.IntType(8))
    hints = [constant(I32, hint) for hint in (0, level, 1)]  # to read, where to, data
    call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), at, *hints)
