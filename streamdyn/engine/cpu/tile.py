"""The inner loop of matrix products: some pixels times some vectors of channels, in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import llvmlite.ir as ir  # type: ignore[import-untyped]  # ships no types
from numba.core import cgutils

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
from streamdyn.engine.cpu.lanes import (
    F32,
    F32S,
    I1,
    I16,
    I32,
    I32S,
    LANES,
    VECTOR_BYTES,
    clip_lanes,
    constant,
    lanes_below,
    load_lanes,
    load_pairs,
    multiply_add,
    spread,
    store_lanes,
)

CACHE_LINE: Final = 64
FIRST_CACHE, SECOND_CACHE = 3, 2  # of the three, as LLVM counts them
MOST_SUMS: Final = 24 * VECTOR_BYTES  # bytes, of any tile


def tile_rows() -> dict[int, int]:
    """Rows of the tiles that are 1, 2... vectors wide, as many as the registers hold.

    With 32 registers of 512 bits that is 24 sums and what feeds them: enough to hide the latency
    of the multiplications, and each number read from memory takes part in several of them.
    """
    return {1: 12, 2: 12, 3: 8, 4: 6} if "avx512f" in features() else {1: 6}


def depthwise_rows() -> int:
    """Rows of the tiles of depthwise convolutions: sums enough to hide the latency."""
    return 8 if "avx512f" in features() else 4


class _Tile:
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
            first = b.mul(loop.index, constant(I64, self.vectors))
            places = [b.add(first, constant(I64, i)) for i in range(self.vectors)]
            wanted = b.add(ahead, b.mul(loop.index, stride))
            for line in (0, CACHE_LINE):
                _fetch(b, b.add(wanted, constant(I64, line)), SECOND_CACHE)
            factors = [b.load(b.gep(at, [place]), align=4) for place in places]
            for row, sums in zip(numbers, self._sums, strict=True):
                x = spread(b, b.load(b.gep(row, [loop.index]), align=self.bits // 8))
                self._add_products(x, factors, sums)
        if self.bits == 16:
            with b.if_then(b.icmp_signed("!=", odd, constant(I64, 0))):
                first = b.mul(steps, constant(I64, self.vectors))
                places = [b.add(first, constant(I64, i)) for i in range(self.vectors)]
                factors = [b.load(b.gep(at, [place]), align=4) for place in places]
                for row, sums in zip(rows, self._sums, strict=True):
                    half = b.load(pointer(b, row, I16, b.shl(steps, constant(I64, 1))), align=2)
                    self._add_products(spread(b, b.zext(half, I32)), factors, sums)

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


@emit(
    VOID, LITERAL, LITERAL, LITERAL, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT,
    INT, FLOAT, FLOAT, INT, INT, INT,
)  # fmt: skip
def tile(
    builder: Any, rows: int, vectors: int, dtype: int,
    sources: Any, last: Any, shift: Any, taps: Any, tap_count: Any, steps: Any, odd: Any,
    weights: Any, bias: Any, residuals: Any, targets: Any, column: Any, channels: Any,
    low: Any, high: Any, scratch: Any, ahead: Any, stride: Any,
) -> None:  # fmt: skip
    """Compute `channels` channels of up to `rows` pixels.

    `sources`, `residuals` (or 0) and `targets` point to the addresses of the tile's first rows;
    beyond row `last`, that row is computed again. `shift` and `column` are bytes from the start
    of a source, and of a residual or target, to the channels in question. With `scratch` other
    than 0, the sums go there as they are, in place of being cut off and written. A tap has
    `steps` numbers, or pairs of bfloat16 and `odd` more. With each of the steps, `stride` bytes
    from `ahead` on are fetched: what comes next.
    """
    b, sums = builder, _Tile(builder, rows, vectors, dtype)
    mask = lanes_below(b, b.sub(channels, constant(I64, (vectors - 1) * LANES)))
    some_residual = b.icmp_signed("!=", residuals, constant(I64, 0))
    with b.if_then(some_residual):  # those of this tile would come too late
        sums.prefetch(_addresses(b, residuals, column, range(rows, 2 * rows), last))
    sums.start(bias)
    origins = _addresses(b, sources, shift, range(rows), last)
    tap_bytes = b.mul(b.add(steps, odd), constant(I64, vectors * VECTOR_BYTES))
    with cgutils.for_range(b, tap_count) as loop:
        offset = b.load(pointer(b, taps, I64, loop.index), align=8)
        part = b.add(weights, b.mul(loop.index, tap_bytes))
        wanted = b.add(ahead, b.mul(b.mul(loop.index, steps), stride))
        reads = [b.add(at, offset) for at in origins]
        sums.accumulate(reads, steps, odd, part, wanted, stride)
    with b.if_then(some_residual):
        sums.add(_addresses(b, residuals, column, range(rows), last), mask)
    sums.finish(_addresses(b, targets, column, range(rows), last), mask, low, high, scratch)


@emit(
    VOID, LITERAL, LITERAL, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT,
    FLOAT, FLOAT, INT,
)  # fmt: skip
def depthwise_tile(
    builder: Any, rows: int, dtype: int,
    sources: Any, last: Any, taps: Any, steps: Any, weights: Any, step_bytes: Any, bias: Any,
    residuals: Any, targets: Any, column: Any, channels: Any, low: Any, high: Any, scratch: Any,
) -> None:  # fmt: skip
    """Compute up to 16 `channels` of up to `rows` pixels, each from its own channel.

    Parameters are those of `tile`; `step_bytes` lie between the weights of two steps.
    """
    b, bits = builder, dtype
    sums, together = _Tile(b, rows, 1, bits), 32 // bits
    mask = lanes_below(b, channels)
    sums.start(bias)
    origins = _addresses(b, sources, column, range(rows), last)
    with cgutils.for_range(b, steps) as loop:
        first = b.mul(loop.index, constant(I64, together))
        places = first, b.add(first, constant(I64, together - 1))
        offsets = [b.load(pointer(b, taps, I64, place), align=8) for place in places]
        pairs = [(b.add(origin, offsets[0]), b.add(origin, offsets[1])) for origin in origins]
        sums.accumulate_own(pairs, b.add(weights, b.mul(loop.index, step_bytes)), mask)
    with b.if_then(b.icmp_signed("!=", residuals, constant(I64, 0))):
        sums.add(_addresses(b, residuals, column, range(rows), last), mask)
    sums.finish(_addresses(b, targets, column, range(rows), last), mask, low, high, scratch)


def _addresses(b: Any, words: Any, offset: Any, places: range, last: Any) -> list[Any]:
    """Addresses that `words` points to, those beyond `last` replaced, moved on by `offset`."""
    at = pointer(b, words, I64)
    chosen = [_least(b, constant(I64, place), last) for place in places]
    return [b.add(b.load(b.gep(at, [place]), align=8), offset) for place in chosen]


def _fetch(builder: Any, address: Any, level: int) -> None:
    """Begin to bring a line of memory into a cache. The address need not exist."""
    at = pointer(builder, address, ir.IntType(8))
    hints = [constant(I32, hint) for hint in (0, level, 1)]  # to read, where to, data
    call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), at, *hints)


def _least(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.icmp_signed("<", x, y), x, y)
