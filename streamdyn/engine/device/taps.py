"""Which rows of a map each output pixel of an operation reads: tables made once per network.

The pixels of a map are numbered y * width + x; one more row, of number height * width, holds
zeros, and is what lies off the map.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.graph import Interleave, Pool, Resize
from streamdyn.engine.resampling import samples

Table = NDArray[np.int32]  # (output pixels, taps)
Size = tuple[int, int]  # height, width


def window_taps(
    inside: Size, outside: Size, kernel: Size, stride: Size, before: Size, dilation: Size
) -> Table:
    """The taps of a kernel at each of its places, row by row."""
    y, x = (
        _places(outside[axis], kernel[axis], stride[axis], before[axis], dilation[axis])
        for axis in (0, 1)
    )
    y, x = y[:, None, :, None], x[None, :, None, :]
    known = (y >= 0) & (y < inside[0]) & (x >= 0) & (x < inside[1])
    numbers = np.where(known, y * inside[1] + x, inside[0] * inside[1])
    return numbers.reshape(outside[0] * outside[1], -1).astype(np.int32)


def needed(table: Table, inside: Size) -> Table:
    """A table without the taps that are off the map everywhere: a pool may be larger than it."""
    return table[:, (table != inside[0] * inside[1]).any(0)]


def on_map(table: Table, inside: Size) -> Table:
    """A table without what is off the map: another tap of the window takes its place, which does
    not change a maximum."""
    off = table == inside[0] * inside[1]
    first = np.take_along_axis(table, off.argmin(1)[:, None], 1)
    return np.where(off, first, table)


def averaged(op: Pool, inside: Size, outside: Size) -> NDArray[np.float32]:
    """How many numbers an average divides by at each output pixel: (pixels, 1)."""
    counts: list[NDArray[np.int64]] = []
    for axis in (0, 1):
        places = _places(
            outside[axis], op.kernel[axis], op.stride[axis], op.padding[axis], op.dilation[axis]
        )
        before, after = (op.padding[axis], op.padding[axis + 2]) if op.count_padding else (0, 0)
        counts.append(((places >= -before) & (places < inside[axis] + after)).sum(1))
    high, wide = counts
    return (high[:, None] * wide).reshape(-1, 1).astype(np.float32)


def resize_taps(op: Resize, inside: Size, outside: Size) -> tuple[Table, NDArray[np.float32]]:
    """The pixels that each new pixel is mixed from, and their parts: (pixels, taps) each."""
    (y, part_y), (x, part_x) = (samples(op, inside[axis], outside[axis]) for axis in (0, 1))
    numbers = y[:, None, :, None] * inside[1] + x[None, :, None, :]
    parts = part_y[:, None, :, None] * part_x[None, :, None, :]
    shape = outside[0] * outside[1], -1
    return numbers.reshape(shape).astype(np.int32), parts.reshape(shape).astype(np.float32)


def phase_taps(op: Interleave, inside: Size, outside: Size) -> tuple[Table, NDArray[np.int64]]:
    """The pixel of its phase that each pixel of interleaved maps is, and which phase: (pixels, 1)
    each."""
    y, x = np.divmod(np.arange(outside[0] * outside[1])[:, None], outside[1])
    rows, cols = op.stride
    numbers = y // rows * inside[1] + x // cols
    return numbers.astype(np.int32), y % rows * cols + x % cols


def _places(count: int, kernel: int, stride: int, before: int, dilation: int) -> NDArray[np.int64]:
    """Where the taps of each of `count` windows lie along an axis: (count, kernel)."""
    return (np.arange(count) * stride - before)[:, None] + np.arange(kernel) * dilation
