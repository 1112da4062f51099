"""Kernels between pictures and rows: the input of a network, and the maps that it returns."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES, VECTOR_BYTES
from streamdyn.engine.cpu.memory import index32, number, put_number, scratch, word
from streamdyn.engine.cpu.places import (
    Places,
    Steps,
    first_pixel,
    pixels_across,
    stream_of,
)
from streamdyn.engine.cpu.rows import (
    FLOAT32,
    ROW_BYTES,
    Addresses,
    RowType,
    code,
    pixels,
    worth,
)
from streamdyn.engine.cpu.simd import load, store, store_colours

SQUARE_BYTES: Final = LANES * VECTOR_BYTES
COLOURS: Final = 3


def load_image(
    places: Places,
    planes: Steps,
    plane_bytes: int,
    images: Addresses,
    rows: Steps | None,
    maps: Addresses,
    dtype: RowType,
) -> Call:
    """Write rows of three numbers from three float32 planes.

    The pixels of the first plane lie by `planes` from the address of each stream's image (streams,)
    on, their rows by `rows` from that of its map (streams,). Without `rows` these come one after
    another, from maps[0] on. Neighbours along a line lie beside each other in any case.

    Raises:
        ValueError: the arrays do not fit together, or a step to the right is not one pixel.
    """
    row_bytes = COLOURS * ROW_BYTES[dtype]
    given = planes.right, row_bytes if rows is None else rows.right
    if given != (4, row_bytes):
        raise ValueError(f"pixels and rows {given} bytes apart, not {(4, row_bytes)}")
    pixels(None, images, maps if rows else None, places.ends)
    origin, down = (rows.origin, rows.down) if rows else (0, 0)
    lines = planes.origin, planes.down, origin, down
    return places.call(_load_image(dtype), *lines, plane_bytes, images, maps, int(rows is None))


def store_planes(
    sources: Addresses,
    targets: Addresses,
    plane_bytes: int,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write rows to float32 planes. `targets` are the addresses of pixels in the first plane."""
    n = pixels(count, sources, targets)
    arguments = (sources, targets, plane_bytes, channels)
    return Call(_store_planes(dtype), n, arguments, unit=LANES, least=worth(4 * channels))


@cache
def _load_image(row_type: RowType) -> Native:
    dtype, row_bytes = code(row_type), COLOURS * ROW_BYTES[row_type]

    def load_image(arguments: int, begin: int, end: int, _column: int) -> None:
        ys, xs = word(arguments, 0), word(arguments, 1)
        high, wide = word(arguments, 3), word(arguments, 4)
        origin, down = word(arguments, 6), word(arguments, 7)
        target_origin, target_down = word(arguments, 8), word(arguments, 9)
        plane, images, maps = word(arguments, 10), word(arguments, 11), word(arguments, 12)
        in_order = word(arguments, 13)
        stream = 0
        for each in range(begin, end):
            first, across = first_pixel(arguments, each), pixels_across(arguments, each)
            stream = stream_of(arguments, first, stream)
            y, x = index32(ys, each) * high, index32(xs, each) * wide
            source = word(images, stream) + origin + x * 4
            target = word(maps, stream) + target_origin + y * target_down + x * row_bytes
            line = target_down
            if in_order:
                target, line = word(maps, 0) + first * row_bytes, across * row_bytes
            for row in range(high):
                at, to = source + (y + row) * down, target + row * line
                for i in range(0, across, LANES):
                    store_colours(to + i * row_bytes, at + i * 4, plane, across - i, dtype)

    return Native(load_image)


@cache
def _store_planes(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def store_planes(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, targets = word(arguments, 0), word(arguments, 1)
        plane, channels = word(arguments, 2), word(arguments, 3)
        square = scratch(SQUARE_BYTES)
        for first in range(begin, end, LANES):
            count = min(LANES, end - first)
            for lane in range(0, channels, LANES):
                for pixel in range(count):
                    x = load(word(sources, first + pixel) + lane * size, dtype, channels - lane)
                    store(square + pixel * VECTOR_BYTES, x, FLOAT32, LANES)
                # Neighbours come one after another, so that a line of a plane is written at once.
                for channel in range(min(LANES, channels - lane)):
                    at = (lane + channel) * plane
                    for pixel in range(count):
                        value = number(square, pixel * LANES + channel)
                        put_number(word(targets, first + pixel) + at, 0, value)

    return Native(store_planes)
