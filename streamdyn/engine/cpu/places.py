"""Where the pixels of a call are, and from that the addresses of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.emit import Native, inlined
from streamdyn.engine.cpu.memory import index32, put_word, word
from streamdyn.engine.cpu.rows import Addresses, pixels, worth

TARGETS: Final = 10  # among the arguments of `addresses`
RUN: Final = 32  # pixels of a run, more or less


class Steps(NamedTuple):
    """Where the row of each pixel lies, in bytes: origin + y * down + x * right."""

    origin: int
    down: int
    right: int


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The pixels of a call, of several streams: whole tiles, or runs along the rows of a map.

    Raises:
        ValueError: the arrays do not fit together.
    """

    y: NDArray[np.int32]  # (n,) of tiles, in tiles, or of the first pixels of runs
    x: NDArray[np.int32]
    shape: tuple[int, int] | NDArray[np.int32]  # (high, wide) of a tile; pixels before runs (n + 1)
    ends: NDArray[np.int64]  # (streams,) the tiles, or pixels, up to the last of each
    count: NDArray[np.int64]  # (1,) how many tiles or runs there are

    def __post_init__(self) -> None:
        first = None if isinstance(self.shape, tuple) else self.shape[:-1]
        pixels(self.count, also=((self.y, np.int32), (self.x, np.int32), (first, np.int32)))

    @property
    def tile(self) -> tuple[int, int]:
        """The pixels (high, wide) of a tile; a run is one of a length of its own."""
        return self.shape if isinstance(self.shape, tuple) else (1, 1)

    def arguments(self) -> tuple[int | NDArray[Any] | None, ...]:
        """The first six arguments of a kernel."""
        first = None if isinstance(self.shape, tuple) else self.shape
        return (self.y, self.x, first, *self.tile, self.ends)

    def call(
        self, kernel: Native, *arguments: int | NDArray[Any], numbers: int = 1, early: bool = False
    ) -> Call:
        """A call of a kernel for each tile or run, which works on so many numbers of a pixel."""
        high, wide = (1, RUN) if isinstance(self.shape, np.ndarray) else self.shape
        least = worth(high * wide * numbers)
        given = (*self.arguments(), *arguments)
        return Call(kernel, self.count, given, least=least, early=early)


def addresses(places: Places, steps: Steps, bases: Addresses, targets: Addresses) -> Call:
    """Write base + origin + y * down + x * right of each pixel to `targets` (pixels,), early.

    `bases` (streams,) has the address of the map of each stream.

    Raises:
        ValueError: the arrays do not fit together.
    """
    pixels(None, bases, places.ends)
    return places.call(_addresses(), *steps, bases, targets, early=True)


def is_addresses(call: Call) -> bool:
    """Whether a call is one of `addresses`."""
    return call.kernel is _addresses()


def looked_up(
    indices: NDArray[np.int32],
    steps: Steps,
    bases: Addresses,
    ends: NDArray[np.int64],
    targets: Addresses,
    *,
    unit: int = 1,
    count: NDArray[np.int64] | None = None,
) -> Call:
    """Write base + origin + index * right of k rows for each pixel (n, k) to `targets` (n, k),
    early.

    Stream s has the pixels up to `ends[s] * unit`, from its `bases[s]` on.

    Raises:
        ValueError: the arrays do not fit together.
    """
    n = pixels(count, targets, also=((indices, np.int32),))
    pixels(None, bases, ends)
    if targets.shape != indices.shape or indices.ndim != 2:
        raise ValueError(f"{indices.shape} indices do not fit {targets.shape} addresses")
    several = indices.shape[1]
    arguments = (indices, several, steps.origin, steps.right, bases, ends, unit, targets)
    return Call(_looked_up(), n, arguments, least=worth(several), early=True)


# Of a tile or a run, for kernels of `Places.call`; `places` is the address of their arguments.


@inlined
def first_pixel(places: int, each: int) -> int:
    """How many pixels come before it."""
    firsts = word(places, 2)
    first: int = index32(firsts, each) if firsts else each * word(places, 3) * word(places, 4)
    return first


@inlined
def pixels_across(places: int, each: int) -> int:
    """How many pixels it has along a row."""
    firsts = word(places, 2)
    wide: int = word(places, 4)
    return index32(firsts, each + 1) - index32(firsts, each) if firsts else wide


@inlined
def stream_of(places: int, first: int, stream: int) -> int:
    """The stream of its first pixel, from that of the one before it on."""
    while first >= word(word(places, 5), stream) * word(places, 3) * word(places, 4):
        stream += 1
    return stream


@cache
def _addresses() -> Native:
    def addresses(arguments: int, begin: int, end: int, _column: int) -> None:
        ys, xs = word(arguments, 0), word(arguments, 1)
        high, wide = word(arguments, 3), word(arguments, 4)
        origin, down, right = word(arguments, 6), word(arguments, 7), word(arguments, 8)
        bases, targets = word(arguments, 9), word(arguments, 10)
        stream = 0
        for each in range(begin, end):
            first, across = first_pixel(arguments, each), pixels_across(arguments, each)
            stream = stream_of(arguments, first, stream)
            place = index32(ys, each) * high * down + index32(xs, each) * wide * right
            at = word(bases, stream) + origin + place
            for row in range(high):
                for i in range(across):
                    put_word(targets, first + row * across + i, at + row * down + i * right)

    return Native(addresses)


@cache
def _looked_up() -> Native:
    def looked_up(arguments: int, begin: int, end: int, _column: int) -> None:
        indices, several, origin = word(arguments, 0), word(arguments, 1), word(arguments, 2)
        size, bases, ends = word(arguments, 3), word(arguments, 4), word(arguments, 5)
        unit, targets = word(arguments, 6), word(arguments, 7)
        stream = 0
        for i in range(begin, end):
            while i >= word(ends, stream) * unit:
                stream += 1
            base = word(bases, stream) + origin
            for each in range(i * several, (i + 1) * several):
                put_word(targets, each, base + index32(indices, each) * size)

    return Native(looked_up)
