"""Matrix products whose rows are gathered by address: convolutions and linear layers.

An output pixel is `activation(bias + sum over taps of x(source + tap)[:run] @ W[tap] + residual)`,
where `x(a)[:run]` are the `run` numbers from address `a` on. A k x k convolution of dilation 1 on
channels-last maps has k taps of k * channels numbers, others have one tap for each weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import lcm
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.activation import CLIP, apply
from streamdyn.engine.cpu.activation import arguments as epilogue
from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.crew import crew
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES
from streamdyn.engine.cpu.memory import double, scratch, word
from streamdyn.engine.cpu.rows import (
    FLOAT32,
    ROW_BYTES,
    STEP_BYTES,
    Addresses,
    Floats,
    RowType,
    aligned,
    code,
    pixels,
)
from streamdyn.engine.cpu.simd import load, store
from streamdyn.engine.cpu.threads import invoke
from streamdyn.engine.cpu.tile import MOST_SUMS, tile, tile_rows
from streamdyn.engine.graph import Activation

PIECE_BYTES: Final = 1 << 18  # of the rows of a piece: they and the weights share the L2 cache

# The words of a panel's record: addresses, and bytes from the start of weights, bias and rows;
# then how many bytes its weights have, and the address and bytes of what to fetch meanwhile.
KERNEL, WEIGHTS, BIAS, SHIFT, COLUMN, CHANNELS, SIZE, AHEAD, AHEAD_SIZE = range(9)
PANEL: Final = 9
SOURCES, TAPS, MATRIX, PANELS, TARGETS = 0, 2, 4, 6, 8  # among the arguments of a product


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """Weights in the order in which tiles read them: panels of up to 4 vectors of channels."""

    dtype: RowType
    taps: int
    run: int  # numbers of a source that a tap reads
    channels: int
    weights: NDArray[np.uint16] | Floats
    bias: Floats
    panels: NDArray[np.int64]  # (panels, PANEL); in place of KERNEL, how many vectors wide


def pack(weight: Floats, bias: Floats, dtype: RowType, shift: int | None = None) -> Packed:
    """Arrange weights (groups, taps, run, channels of a group) and a bias (all channels).

    Group g reads its source from number g * `shift` (by default g * run) on.

    Raises:
        ValueError: the shapes do not fit together.
    """
    groups, taps, run, width = weight.shape
    if bias.shape != (groups * width,):
        raise ValueError(f"a bias of {bias.shape} does not fit weights of {weight.shape}")
    size, shift = ROW_BYTES[dtype], run if shift is None else shift
    blocks, biases, records = [], [], []
    for group in range(groups):
        for begin, vectors in _panels(width):
            part = weight[group, :, :, begin : begin + vectors * LANES]
            first, channels = group * width + begin, part.shape[2]
            blocks.append(_arrange(part, vectors, STEP_BYTES // size))
            biases.append(np.zeros(vectors * LANES, np.float32))
            biases[-1][:channels] = bias[first : first + channels]
            nbytes = blocks[-1].size * size
            offsets = nbytes, biases[-1].nbytes, group * shift * size, first * size
            records.append((vectors, *offsets, channels, nbytes, 0, 0))
    panels = np.array(records, np.int64)
    for sizes in (panels[:, WEIGHTS], panels[:, BIAS]):
        sizes[:] = np.cumsum(sizes) - sizes  # now offsets
    weights = aligned(np.concatenate(blocks), dtype)
    wide_bias = aligned(np.concatenate(biases), "float32")
    return Packed(dtype, taps, run, len(bias), weights, wide_bias, panels)


def product(
    sources: Addresses,
    taps: NDArray[np.int64],
    packed: Packed,
    targets: Addresses,
    *,
    residual: Addresses | None = None,
    activation: Activation | None = None,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Compute rows at `targets` from rows at `sources` + `taps` (bytes).

    `targets` may be `residual`, but no row that is read as a source.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if len(taps) != packed.taps:
        raise ValueError(f"{len(taps)} taps for weights of {packed.taps}")
    p, size = packed, ROW_BYTES[packed.dtype]
    n = pixels(count, sources, targets, residual)
    offsets, (steps, rest) = np.ascontiguousarray(taps, np.int64), divmod(p.run * size, STEP_BYTES)
    panels = p.panels.copy()
    panels[:, KERNEL] = [_panel_kernel(p.dtype, int(v)).address for v in p.panels[:, KERNEL]]
    arguments = (sources, offsets, p.taps, steps, p.weights, p.bias, panels, residual, targets)
    read = p.taps * p.run + (p.channels if residual is not None else 0)
    return Call(
        _dispatch(),
        n,
        (*arguments, *epilogue(activation), int(rest > 0)),
        columns=len(panels),
        unit=lcm(*tile_rows().values()),
        most=max(PIECE_BYTES // ((read + p.channels) * size), 96),
        few=p.taps * p.run,
    )


def is_product(call: Call) -> bool:
    """Whether a call is one of `product`."""
    return call.kernel is _dispatch()


def fetch_ahead(calls: Sequence[Call]) -> None:
    """Let products that run in this order fetch the weights of those to come.

    Where few pixels are computed, reading the weights from main memory takes as long as the
    multiplications. While a thread multiplies by one panel it brings the next that it may claim
    closer, at the rate at which it gets on, so that both go on at once.
    """
    threads = crew().threads
    for thread in reversed(range(threads)):
        panels = []  # those that a thread comes by
        for call in calls:
            if is_product(call):
                weights, each = call.arguments[MATRIX], call.arguments[PANELS]
                assert isinstance(weights, np.ndarray)
                assert isinstance(each, np.ndarray)
                share = each[len(each) * thread // threads : len(each) * (thread + 1) // threads]
                own = share if len(share) else each[:1]
                panels += [(panel, weights.ctypes.data + panel[WEIGHTS]) for panel in own]
        for i, (panel, _) in enumerate(panels):
            coming, address = panels[(i + 1) % len(panels)]
            panel[AHEAD], panel[AHEAD_SIZE] = address, coming[SIZE]


def _panels(channels: int) -> Iterator[tuple[int, int]]:
    """The first channel of each panel of a group, and how many vectors wide it is."""
    widest = max(tile_rows()) * LANES
    for begin in range(0, channels, widest):
        yield begin, -(-min(widest, channels - begin) // LANES)


def _arrange(weight: Floats, vectors: int, together: int) -> Floats:
    """A panel (taps, run, channels) as (taps, steps, vectors, lanes, numbers of a step), flat."""
    taps, run, channels = weight.shape
    steps = -(-run // together)
    full = np.zeros((taps, steps * together, vectors * LANES), np.float32)
    full[:, :run, :channels] = weight
    return full.reshape(taps, steps, together, -1).transpose(0, 1, 3, 2).ravel()


@cache
def _dispatch() -> Native:
    def product(arguments: int, begin: int, end: int, column: int) -> None:
        panel = word(arguments, 6) + 8 * PANEL * column
        invoke(word(panel, KERNEL), arguments, begin, end, panel)

    return Native(product)


@cache
def _panel_kernel(row_type: RowType, vectors: int) -> Native:
    """What computes the channels of a panel so many vectors wide."""
    dtype, size, rows = code(row_type), ROW_BYTES[row_type], tile_rows()[vectors]

    def panel_product(arguments: int, begin: int, end: int, panel: int) -> None:
        sources, taps, tap_count = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        steps, odd = word(arguments, 3), word(arguments, 13)
        weights = word(arguments, 4) + word(panel, WEIGHTS)
        bias = word(arguments, 5) + word(panel, BIAS)
        shift, column, channels = word(panel, SHIFT), word(panel, COLUMN), word(panel, CHANNELS)
        residuals, targets, kind = word(arguments, 7), word(arguments, 8), word(arguments, 9)
        low, high, slope = double(arguments, 10), double(arguments, 11), double(arguments, 12)
        ahead, tiles = word(panel, AHEAD), (end - begin + rows - 1) // rows
        stride = word(panel, AHEAD_SIZE) // max(tiles * tap_count * steps, 1)
        sums = scratch(MOST_SUMS)
        for first in range(begin, end, rows):
            last = end - 1 - first
            tile(
                rows, vectors, dtype, sources + 8 * first, last, shift, taps, tap_count, steps, odd,
                weights, bias, residuals + 8 * first if residuals else 0, targets + 8 * first,
                column, channels, low, high, 0 if kind == CLIP else sums, ahead, stride,
            )  # fmt: skip
            ahead += tap_count * steps * stride
            if kind != CLIP:
                for row in range(min(rows, last + 1)):
                    target = word(targets, first + row) + column
                    for lane in range(0, channels, LANES):
                        x = load(sums + (row * vectors * LANES + lane) * 4, FLOAT32, LANES)
                        y = apply(x, kind, low, high, slope)
                        store(target + lane * size, y, dtype, channels - lane)

    return Native(panel_product)
