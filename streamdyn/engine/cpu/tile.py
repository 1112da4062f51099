"""The inner loop of matrix products: some pixels times some vectors of channels, in registers."""

from __future__ import annotations

from typing import Any, Final

from numba.core import cgutils

from streamdyn.engine.cpu.emit import (
    FLOAT,
    I64,
    INT,
    LITERAL,
    VOID,
    emit,
    features,
    pointer,
)
from streamdyn.engine.cpu.lanes import LANES, VECTOR_BYTES, constant, lanes_below
from streamdyn.engine.cpu.sums import Sums

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
    b, sums = builder, Sums(builder, rows, vectors, dtype)
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
    b, sums, together = builder, Sums(builder, rows, 1, dtype), 32 // dtype
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


def _least(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.icmp_signed("<", x, y), x, y)
