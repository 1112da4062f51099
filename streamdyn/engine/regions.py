"""Which pixels of a map a mask asks for, and where kernels find them.

A `Region` is the list of pixels that are computed at one resolution, of all streams of a call. It
lives as long as its network: a call rewrites its arrays in place, because compiled programs hold
their addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask

Indices = NDArray[np.int32]


class Pixels:
    """The pixels of a map of (height, width) that lie on each block of a grid.

    A pixel is computed if any block that it lies on is.
    """

    def __init__(self, grid: BlockGrid, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.tile = tile(grid, height, width)
        self._rows = _bands(grid.height, grid.block, height)
        self._cols = _bands(grid.width, grid.block, width)
        self._by_block = self._table(grid)

    def of(self, mask: BlockMask) -> Indices:
        """The numbers (y * width + x) of the pixels to compute; with a `tile`, block by block."""
        if self._by_block is not None:
            return self._by_block[np.flatnonzero(mask.active)].ravel()
        chosen = _any(_any(mask.active, self._rows).T, self._cols).T
        return np.flatnonzero(chosen).astype(np.int32)

    def part(self, mask: BlockMask) -> float:
        """The fraction of the pixels that a mask asks for."""
        return mask.density if self.tile else len(self.of(mask)) / (self.height * self.width)

    def _table(self, grid: BlockGrid) -> Indices | None:
        """(blocks, pixels of each), None if blocks differ."""
        if self.tile is None:
            return None
        (rows, cols), (high, wide) = grid.shape, self.tile
        numbers = np.arange(self.height * self.width, dtype=np.int32)
        cut = numbers.reshape(rows, high, cols, wide).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(cut).reshape(rows * cols, high * wide)


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


class Region:
    """The pixels that a call computes at one resolution, and what is looked up for each of them.

    Args:
        capacity: the most pixels that a call can have.
        tile: the pixels (high, wide) of each block, if they come block by block.
    """

    def __init__(self, capacity: int, tile: tuple[int, int] | None = None) -> None:
        self.tile = tile
        self.count = np.zeros(1, np.int64)
        self.numbers = np.zeros(capacity, np.int32)  # y * width + x of each pixel
        self.order = np.arange(capacity, dtype=np.int32)  # the row of each in packed maps
        self.parts: list[slice] = []  # the pixels of each stream
        self._tables: dict[bytes, tuple[NDArray[Any], NDArray[Any]]] = {}
        self._bases: dict[tuple[str, int], NDArray[np.int64]] = {}
        self._counts = {1: self.count}

    @property
    def capacity(self) -> int:
        """The most pixels that a call can have."""
        return len(self.numbers)

    def look_up(self, table: NDArray[Any]) -> NDArray[Any]:
        """An array that holds `table[number]` for each pixel in every call; `count` says how many.

        Equal tables share one array.
        """
        key = table.tobytes() + str((table.shape, table.dtype)).encode()
        if key not in self._tables:
            found = np.zeros((self.capacity, *table.shape[1:]), table.dtype)
            self._tables[key] = table, found
        return self._tables[key][1]

    def bases(self, what: str, times: int = 1) -> NDArray[np.int64]:
        """An array of an address for each pixel, `times` in a row: that of `what` in its stream."""
        key = what, times
        return self._bases.setdefault(key, np.zeros(self.capacity * times, np.int64))

    def counts(self, times: int) -> NDArray[np.int64]:
        """An array (1,) that holds `times` the number of pixels in every call."""
        return self._counts.setdefault(times, np.zeros(1, np.int64))

    def fill(self, chosen: Sequence[Indices], addresses: Sequence[dict[str, int]]) -> None:
        """Choose the pixels of a call: for each stream their numbers, and its addresses."""
        ends = np.cumsum([0, *map(len, chosen)])
        self.parts = [slice(a, b) for a, b in pairwise(ends.tolist())]
        count = self.parts[-1].stop
        for times, counts in self._counts.items():
            counts[0] = count * times
        for part, numbers in zip(self.parts, chosen, strict=True):
            self.numbers[part] = numbers
        for table, found in self._tables.values():
            np.take(table, self.numbers[:count], axis=0, out=found[:count], mode="clip")
        for (what, times), bases in self._bases.items():
            for part, known in zip(self.parts, addresses, strict=True):
                bases[part.start * times : part.stop * times] = known[what]
