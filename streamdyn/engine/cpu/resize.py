"""The kernel of bilinear resizing: four rows of a map are mixed for each pixel of another."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES
from streamdyn.engine.cpu.memory import index32, number, word
from streamdyn.engine.cpu.places import (
    Places,
    Steps,
    first_pixel,
    pixels_across,
    stream_of,
)
from streamdyn.engine.cpu.rows import ROW_BYTES, Addresses, Floats, RowType, code, pixels
from streamdyn.engine.cpu.simd import load, store


class Samples(NamedTuple):
    """Of each new pixel along an axis: the two it is mixed from (n, 2), and their parts (n, 2)."""

    near: NDArray[np.int32]
    parts: Floats


def bilinear(
    places: Places,
    y: Samples,
    x: Samples,
    steps: Steps,
    bases: Addresses,
    targets: Addresses,
    channels: int,
    dtype: RowType,
) -> Call:
    """Write the rows of new pixels to `targets` (pixels,).

    The rows that they are mixed from lie by `steps` from the address of each stream's map, of
    `bases` (streams,), on.

    Raises:
        ValueError: the arrays do not fit together.
    """
    pixels(None, bases, places.ends)
    for near, parts in (y, x):
        pixels(None, also=((near, np.int32), (parts, np.float32)))
    arguments = y.near, y.parts, x.near, x.parts, *steps, bases, targets, channels
    return places.call(_bilinear(dtype), *arguments, numbers=4 * channels)


@cache
def _bilinear(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def bilinear(arguments: int, begin: int, end: int, _column: int) -> None:
        ys, xs = word(arguments, 0), word(arguments, 1)
        high, wide = word(arguments, 3), word(arguments, 4)
        near_y, parts_y = word(arguments, 6), word(arguments, 7)
        near_x, parts_x = word(arguments, 8), word(arguments, 9)
        origin, down, right = word(arguments, 10), word(arguments, 11), word(arguments, 12)
        bases, targets, channels = word(arguments, 13), word(arguments, 14), word(arguments, 15)
        stream = 0
        for each in range(begin, end):
            first, across = first_pixel(arguments, each), pixels_across(arguments, each)
            stream = stream_of(arguments, first, stream)
            base, left = word(bases, stream) + origin, index32(xs, each) * wide
            for pixel in range(high * across):
                y = 2 * (index32(ys, each) * high + pixel // across)
                x = 2 * (left + pixel % across)
                upper = base + index32(near_y, y) * down
                lower = base + index32(near_y, y + 1) * down
                near, far = index32(near_x, x) * right, index32(near_x, x + 1) * right
                top, bottom = number(parts_y, y), number(parts_y, y + 1)
                here, beyond = number(parts_x, x), number(parts_x, x + 1)
                target = word(targets, first + pixel)
                for lane in range(0, channels, LANES):
                    at, count = lane * size, channels - lane
                    above = load(upper + near + at, dtype, count) * (top * here)
                    above = above + load(upper + far + at, dtype, count) * (top * beyond)
                    below = load(lower + near + at, dtype, count) * (bottom * here)
                    below = below + load(lower + far + at, dtype, count) * (bottom * beyond)
                    store(target + at, above + below, dtype, count)

    return Native(bilinear)
