"""Kernels between pictures and rows: the input of a network, and the maps that it returns."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.crew import Call
from streamdyn.engine.cpu.emit import Native
from streamdyn.engine.cpu.lanes import LANES, VECTOR_BYTES
from streamdyn.engine.cpu.memory import byte, number, put_number, scratch, word
from streamdyn.engine.cpu.rows import (
    FLOAT32,
    ROW_BYTES,
    Addresses,
    Floats,
    RowType,
    code,
    floats,
    pixels,
    worth,
)
from streamdyn.engine.cpu.simd import load, store, triple

SQUARE_BYTES: Final = LANES * VECTOR_BYTES
IMAGE_CHANNELS: Final = 4  # of the rows of an image: red, green, blue and 0, so that runs are even


def load_planes(
    sources: Addresses,
    plane_bytes: int,
    targets: Addresses,
    channels: int,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write rows from float32 planes. `sources` are the addresses of pixels in the first plane."""
    kernel = _load_three_planes(dtype) if channels == 3 else _load_planes(dtype)
    n = pixels(count, sources, targets)
    arguments = (sources, plane_bytes, targets, channels)
    return Call(kernel, n, arguments, unit=LANES, least=worth(4 * channels))


def load_pixels(
    sources: Addresses,
    scale: Floats,
    shift: Floats,
    targets: Addresses,
    dtype: RowType,
    *,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write rows of IMAGE_CHANNELS numbers, `scale * value + shift`, from uint8 RGB pixels.

    Raises:
        ValueError: `scale` or `shift` is not (3,).
    """
    if scale.shape != (3,) or shift.shape != (3,):
        raise ValueError(f"scale {scale.shape} and shift {shift.shape} are not for three channels")
    n = pixels(count, sources, targets)
    arguments = (sources, floats(scale), floats(shift), targets)
    return Call(_load_pixels(dtype), n, arguments, least=worth(8))


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
def _load_three_planes(row_type: RowType) -> Native:
    dtype = code(row_type)

    def load_three_planes(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, plane, targets = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        for i in range(begin, end):
            at = word(sources, i)
            x = triple(number(at, 0), number(at + plane, 0), number(at + 2 * plane, 0))
            store(word(targets, i), x, dtype, 3)

    return Native(load_three_planes)


@cache
def _load_planes(row_type: RowType) -> Native:
    dtype, size = code(row_type), ROW_BYTES[row_type]

    def load_planes(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, plane = word(arguments, 0), word(arguments, 1)
        targets, channels = word(arguments, 2), word(arguments, 3)
        square = scratch(SQUARE_BYTES)
        for first in range(begin, end, LANES):
            count = min(LANES, end - first)
            for lane in range(0, channels, LANES):
                for channel in range(min(LANES, channels - lane)):
                    at = (lane + channel) * plane
                    for pixel in range(count):
                        value = number(word(sources, first + pixel) + at, 0)
                        put_number(square, pixel * LANES + channel, value)
                for pixel in range(count):
                    x = load(square + pixel * VECTOR_BYTES, FLOAT32, LANES)
                    store(word(targets, first + pixel) + lane * size, x, dtype, channels - lane)

    return Native(load_planes)


@cache
def _load_pixels(row_type: RowType) -> Native:
    dtype = code(row_type)

    def load_pixels(arguments: int, begin: int, end: int, _column: int) -> None:
        sources, targets = word(arguments, 0), word(arguments, 3)
        scale = load(word(arguments, 1), FLOAT32, 3)
        shift = load(word(arguments, 2), FLOAT32, 3)
        for i in range(begin, end):
            at = word(sources, i)
            x = triple(byte(at, 0), byte(at, 1), byte(at, 2))
            store(word(targets, i), x * scale + shift, dtype, IMAGE_CHANNELS)

    return Native(load_pixels)


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
