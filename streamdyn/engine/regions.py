"""Which pixels of a map a mask asks for, and where kernels find them.

A `Region` is the list of pixels that are computed at one resolution, of all streams of a call. It
lives as long as its network: a call rewrites its arrays in place, because compiled programs hold
their addresses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.cpu.places import Places

Indices = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Runs:
    """Pixels of a map, as runs along its rows."""

    y: Indices  # (n,) of each run
    x: Indices  # (n,) of its first pixel
    lengths: Indices  # (n,)

    @classmethod
    def of(cls, chosen: NDArray[np.bool_]) -> Runs:
        """The pixels of a map (H, W) that are true, row by row."""
        edges = np.diff(np.pad(chosen, ((0, 0), (1, 1))).view(np.int8), axis=1)
        y, x = np.nonzero(edges > 0)
        _, ends = np.nonzero(edges < 0)
        return cls(y.astype(np.int32), x.astype(np.int32), (ends - x).astype(np.int32))

    def numbers(self, width: int) -> Indices:
        """The number y * width + x of each pixel of a map so wide."""
        ends = np.cumsum(self.lengths)
        first = self.y * width + self.x - (ends - self.lengths)
        total = int(ends[-1]) if len(ends) else 0
        return (np.repeat(first, self.lengths) + np.arange(total)).astype(np.int32)

    def __len__(self) -> int:
        """The number of pixels."""
        return int(self.lengths.sum())


class Pixels:
    """The pixels of a map of (height, width) that lie on each block of a grid.

    A pixel is computed if any block that it lies on is.
    """

    def __init__(self, grid: BlockGrid, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.tile = tile(grid, height, width)
        self._rows = _bands(grid.height, grid.block, height)
        self._cols = _bands(grid.width, grid.block, width)

    def of(self, mask: BlockMask) -> Runs:
        """The pixels to compute, row by row."""
        return Runs.of(_any(_any(mask.active, self._rows).T, self._cols).T)

    def part(self, mask: BlockMask) -> float:
        """The fraction of the pixels that a mask asks for."""
        return mask.density if self.tile else len(self.of(mask)) / (self.height * self.width)


def tile(grid: BlockGrid, height: int, width: int) -> tuple[int, int] | None:
    """The pixels (high, wide) of a map that lie on each block, None if blocks differ in that."""
    rows, cols = grid.shape
    high, wide = height // rows, width // cols
    if (high * rows, wide * cols) != (height, width) or not high * wide:
        return None
    if (grid.block * rows, grid.block * cols) != (grid.height, grid.width):
        return None
    return high, wide


def _bands(extent: int, block: int, pixels: int) -> NDArray[np.intp]:
    """The first and last block that each of the pixels along an axis lies on: (pixels, 2)."""
    edges = np.arange(pixels + 1) * extent
    first = edges[:-1] // (pixels * block)
    last = (edges[1:] - 1) // (pixels * block)
    return np.stack([first, last], axis=1)


def _any(active: NDArray[np.bool_], bands: NDArray[np.intp]) -> NDArray[np.bool_]:
    """For each pixel along the first axis, whether any of its blocks is active."""
    counts = np.zeros((len(active) + 1, active.shape[1]), np.intp)
    np.cumsum(active, axis=0, out=counts[1:])
    return counts[bands[:, 1] + 1] > counts[bands[:, 0]]


class Streams:
    """Where what each stream of a call has lies in memory."""

    def __init__(self, most: int, parts: Sequence[str]) -> None:
        self.most = most  # streams that a call can have
        self._parts = parts
        self._bases = np.zeros((len(parts), most), np.int64)

    def bases(self, part: str) -> NDArray[np.int64]:
        """An array that holds the address of a part of each stream, in every call."""
        bases: NDArray[np.int64] = self._bases[self._parts.index(part)]
        return bases

    def fill(self, addresses: Sequence[NDArray[np.int64]]) -> None:
        """Note the addresses of the parts of each stream of a call."""
        for stream, each in enumerate(addresses):
            self._bases[:, stream] = each


class Blocks:
    """The blocks that a call computes, of all streams."""

    def __init__(self, grid: BlockGrid, streams: int) -> None:
        blocks = grid.shape[0] * grid.shape[1] * streams
        self.count = np.zeros(1, np.int64)
        self.y, self.x = np.zeros((2, blocks), np.int32)
        self.ends = np.zeros(streams, np.int64)  # of each stream: the blocks up to its last

    def fill(self, masks: Sequence[BlockMask]) -> int:
        """Choose the blocks of a call; returns how many."""
        end = 0
        for stream, mask in enumerate(masks):
            y, x = mask.active.nonzero()
            start, end = end, end + len(y)
            self.y[start:end], self.x[start:end], self.ends[stream] = y, x, end
        self.count[0] = end
        return end


class Region(ABC):
    """The pixels that a call computes at one resolution, and what is looked up for each of them.

    They come in runs along the rows of a map or, block by block, in tiles of (high, wide) pixels.

    Args:
        size: (height, width) of the maps.
        streams: the most streams that a call can have.
    """

    places: Places
    tile: tuple[int, int] | None = None

    def __init__(self, size: tuple[int, int], streams: int) -> None:
        self.size = size
        self.capacity = size[0] * size[1] * streams  # the most pixels that a call can have
        self.count = np.zeros(1, np.int64)  # of pixels
        self._tables: dict[bytes, tuple[NDArray[Any], NDArray[Any]]] = {}

    def look_up(self, table: NDArray[Any]) -> NDArray[Any]:
        """An array that holds `table[y * width + x]` for each pixel in every call.

        Equal tables share one array.
        """
        key = table.tobytes() + str((table.shape, table.dtype)).encode()
        if key not in self._tables:
            found = np.zeros((self.capacity, *table.shape[1:]), table.dtype)
            self._tables[key] = table, found
        return self._tables[key][1]

    def _fill_tables(self) -> None:
        if self._tables:
            numbers = self._numbers()
            for table, found in self._tables.values():
                np.take(table, numbers, axis=0, out=found[: len(numbers)], mode="clip")

    @abstractmethod
    def _numbers(self) -> NDArray[np.integer[Any]]:
        """The number y * width + x of each pixel of the call."""


class RunRegion(Region):
    """Any pixels, as runs."""

    def __init__(self, size: tuple[int, int], streams: int) -> None:
        super().__init__(size, streams)
        self._y, self._x = np.zeros((2, self.capacity), np.int32)
        self._first = np.zeros(self.capacity + 1, np.int32)
        runs, ends = np.zeros(1, np.int64), np.zeros(streams, np.int64)
        self.places = Places(self._y, self._x, self._first, ends, runs)
        self.parts: list[slice] = []  # the pixels of each stream
        self._chosen: Sequence[Runs] = ()

    def fill(self, chosen: Sequence[Runs]) -> None:
        """Choose the pixels of a call: those of each stream."""
        lengths = np.concatenate([runs.lengths for runs in chosen])
        total = self.places.count[0] = len(lengths)
        np.concatenate([runs.y for runs in chosen], out=self._y[:total])
        np.concatenate([runs.x for runs in chosen], out=self._x[:total])
        np.cumsum(lengths, out=self._first[1 : total + 1])
        ends = self._first[list(accumulate((len(runs.y) for runs in chosen), initial=0))]
        self.places.ends[: len(chosen)] = ends[1:]
        self.parts = [slice(a, b) for a, b in pairwise(ends.tolist())]
        self.count[0] = ends[-1]
        self._chosen = chosen
        self._fill_tables()

    def _numbers(self) -> NDArray[np.integer[Any]]:
        return np.concatenate([runs.numbers(self.size[1]) for runs in self._chosen])


class TileRegion(Region):
    """The pixels of whole blocks, each of which has the same number of them."""

    def __init__(self, size: tuple[int, int], tile: tuple[int, int], blocks: Blocks) -> None:
        super().__init__(size, len(blocks.ends))
        self.tile = tile
        self.places = Places(blocks.y, blocks.x, tile, blocks.ends, blocks.count)
        self._inside = np.add.outer(np.arange(tile[0]) * size[1], np.arange(tile[1])).ravel()

    def fill(self, blocks: int) -> None:
        """Choose the pixels of a call, once its blocks have been chosen: so many."""
        self.count[0] = blocks * len(self._inside)
        self._fill_tables()

    def _numbers(self) -> NDArray[np.integer[Any]]:
        blocks, (high, wide) = int(self.places.count[0]), self.places.tile
        rows, cols = self.places.y[:blocks] * high, self.places.x[:blocks] * wide
        numbers: NDArray[np.int64] = np.add.outer(rows * self.size[1] + cols, self._inside)
        return numbers.ravel()


class PointRegion(Region):
    """The pixel of maps that have but one, for each stream."""

    def __init__(self, streams: int) -> None:
        super().__init__((1, 1), streams)
        y, x = np.zeros((2, streams), np.int32)
        self.places = Places(y, x, (1, 1), np.arange(1, streams + 1), self.count)

    def fill(self, streams: int) -> None:
        """Choose the pixels of a call of so many streams."""
        self.count[0] = streams
        self._fill_tables()

    def _numbers(self) -> NDArray[np.integer[Any]]:
        return np.zeros(int(self.count[0]), np.int64)
