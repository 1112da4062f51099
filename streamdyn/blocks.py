"""Blocks: the unit of work. A mask says which blocks of a frame to compute again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """A network input of `height` x `width` pixels cut into squares of `block` pixels.

    Blocks at the right and bottom edge may be partial. The source's picture is stretched over
    `picture`, which may leave part of the input to padding (letterbox) or reach beyond it (crop).
    Its own resolution does not matter: `mean`, `peak` and `BlockMask.pixels` take or give maps of
    the whole picture at any resolution.

    Raises:
        ValueError: a size is not positive, or the picture does not touch the input.
    """

    height: int  # pixels of the network input
    width: int
    block: int
    picture: tuple[int, int, int, int] | None = None  # top, left, height, width; None: all of it

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.block) < 1:
            raise ValueError(
                f"a grid needs positive sizes, got {self.height}x{self.width} px in blocks of "
                f"{self.block} px"
            )
        top, left, height, width = self.extent
        touches = top < self.height and left < self.width and top + height > 0 < left + width
        if min(height, width) < 1 or not touches:
            raise ValueError(
                f"picture (top, left, height, width) = {self.picture} does not touch the "
                f"{self.height}x{self.width} px of the input"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols), in blocks."""
        return -(-self.height // self.block), -(-self.width // self.block)

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """Where the picture lies: (top, left, height, width) in pixels of the input."""
        return self.picture or (0, 0, self.height, self.width)

    def all(self) -> BlockMask:
        """Every block: a key frame."""
        return BlockMask(self, np.ones(self.shape, bool))

    def none(self) -> BlockMask:
        """No block: a skipped frame."""
        return BlockMask(self, np.zeros(self.shape, bool))

    def mean(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Average `values` (h, w), a map of the picture at any resolution, over each block.

        Returns (rows, cols); a block that holds padding alone gets 0, and what of the picture
        lies beyond the input counts nowhere.
        """
        return self.cell_means(values, 1)

    def peak(self, values: NDArray[np.generic], cells: int = 4) -> NDArray[np.float32]:
        """Largest mean among the `cells` x `cells` parts of each block: (rows, cols).

        Unlike `mean` it does not dilute a small thing in a large block.
        """
        rows, cols = self.shape
        means = self.cell_means(values, cells)
        peaks: NDArray[np.float32] = means.reshape(rows, cells, cols, cells).max(axis=(1, 3))
        return peaks

    def largest(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """The largest of `values` (h, w) on each block: (rows, cols), 0 in padding."""
        y, x, values = self._spread(values, 1)
        peaks = np.maximum.reduceat(values[y.pixels], y.starts, axis=0)
        largest = np.zeros(self.shape, np.float32)
        largest[y.bands, x.bands] = np.maximum.reduceat(peaks[:, x.pixels], x.starts, axis=1)
        return largest

    def cell_means(self, values: NDArray[np.generic], cells: int = 4) -> NDArray[np.float32]:
        """The mean of each of the `cells` x `cells` parts of each block.

        Returns (rows * cells, cols * cells), with 0 where there is padding alone.
        """
        y, x, values = self._spread(values, cells)
        sums = _sums(values, y, x)
        means = np.zeros([n * cells for n in self.shape], np.float32)
        means[y.bands, x.bands] = sums / (y.counts[:, None] * x.counts)
        return means

    def _spread(
        self, values: NDArray[np.generic], cells: int
    ) -> tuple[_Bands, _Bands, NDArray[np.generic]]:
        """How a map falls into cells, and the map, its pixels repeated so that none is empty."""
        if values.ndim != 2:
            raise ValueError(f"a map of the picture is (h, w), got {values.shape}")
        y = _bands(self, cells, 0, values.shape[0])
        x = _bands(self, cells, 1, values.shape[1])
        values = values.repeat(y.repeat, 0) if y.repeat > 1 else values
        values = values.repeat(x.repeat, 1) if x.repeat > 1 else values
        return y, x, values


@dataclass(frozen=True, slots=True)
class BlockMask:
    """Which blocks to compute. Empty skips the frame, full is a key frame, a rectangle focuses.

    Raises:
        ValueError: `active` is not a bool array of the grid's shape.
    """

    grid: BlockGrid
    active: NDArray[np.bool_]  # (rows, cols), True = compute

    def __post_init__(self) -> None:
        if self.active.shape != self.grid.shape or self.active.dtype != np.bool_:
            raise ValueError(
                f"a mask of this grid is bool {self.grid.shape}, "
                f"got {self.active.dtype} {self.active.shape}"
            )

    @property
    def density(self) -> float:
        """Fraction of blocks to compute, in [0, 1]."""
        return float(np.count_nonzero(self.active)) / self.active.size

    def __bool__(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self.active.any())

    def __and__(self, other: BlockMask) -> BlockMask:
        return BlockMask(self.grid, self.active & self._same_grid(other).active)

    def __or__(self, other: BlockMask) -> BlockMask:
        return BlockMask(self.grid, self.active | self._same_grid(other).active)

    def grow(self, blocks: int = 1) -> BlockMask:
        """Add every block within `blocks` of an active one, diagonals included."""
        active = self.active
        for axis in (0, 1):
            grown = active.copy()
            for shift in range(1, min(blocks, active.shape[axis] - 1) + 1):
                low, high = (np.s_[shift:], np.s_[:-shift])
                ahead, behind = (low, high) if axis == 0 else ((np.s_[:], low), (np.s_[:], high))
                grown[ahead] |= active[behind]
                grown[behind] |= active[ahead]
            active = grown
        return BlockMask(self.grid, active)

    def pixels(self, height: int, width: int) -> NDArray[np.bool_]:
        """The mask over a picture of `height` x `width` pixels: (height, width)."""
        y, x = _bands(self.grid, 1, 0, height), _bands(self.grid, 1, 1, width)
        chosen = self.active[:, x.band_of][y.band_of]
        if self.grid.picture:  # what lies beyond the input cannot be computed
            chosen[~y.inside] = False
            chosen[:, ~x.inside] = False
        return chosen

    def _same_grid(self, other: BlockMask) -> BlockMask:
        if other.grid != self.grid:
            raise ValueError(f"masks of different grids: {self.grid} and {other.grid}")
        return other


@dataclass(frozen=True, slots=True)
class _Bands:
    """How the pixels along one axis of a picture fall into the bands (cells) of a grid."""

    band_of: NDArray[np.intp]  # (pixels,) the band under the centre of each pixel, 0 if outside
    inside: NDArray[np.bool_]  # (pixels,) whether the pixel lies on the input at all
    # The same for sums over bands; each pixel is repeated so often that no band is left empty.
    repeat: int
    pixels: slice  # the (repeated) pixels that lie on the input
    starts: NDArray[np.intp]  # of these, the first of each band
    counts: NDArray[np.intp]  # of these, the number in each band
    edges: NDArray[np.intp]  # among all, the first of each band, and the one after the last
    bands: slice  # the bands that the picture reaches


@lru_cache(maxsize=256)
def _bands(grid: BlockGrid, cells: int, axis: int, pixels: int) -> _Bands:
    if pixels < 1:
        raise ValueError("a picture without pixels has no blocks")
    size = (grid.height, grid.width)[axis]
    offset, extent = grid.extent[axis], grid.extent[axis + 2]

    def band_of(count: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        unit = 2 * count  # of pixels: in fractions of them centres are whole, and exact on edges
        centres = offset * unit + np.arange(1, unit, 2) * extent
        inside = (centres >= 0) & (centres < size * unit)
        return np.where(inside, centres * cells // (grid.block * unit), 0), inside

    first = max(offset, 0) * cells // grid.block
    last = (min(offset + extent, size) * cells - 1) // grid.block
    repeat = 1
    while True:
        bands, inside = band_of(pixels * repeat)
        lies = np.flatnonzero(inside)
        found, starts, counts = np.unique(bands[inside], return_index=True, return_counts=True)
        if len(found) == last - first + 1:
            break
        repeat *= 2
    used = slice(int(lies[0]), int(lies[-1]) + 1)
    edges = np.append(starts, counts.sum()) + used.start
    return _Bands(*band_of(pixels), repeat, used, starts, counts, edges, slice(first, last + 1))


def _sums(values: NDArray[np.generic], y: _Bands, x: _Bands) -> NDArray[Any]:
    """Sums of a map over the cells that two axes of bands make."""
    if values.dtype.kind != "b" and values.dtype != np.uint8:
        rows = np.add.reduceat(values[y.pixels], y.starts, axis=0, dtype=np.float32)
        return np.add.reduceat(rows[:, x.pixels], x.starts, axis=1)
    import cv2  # `import streamdyn` does without

    # A table of running sums is several times faster; where they overflow, their differences are
    # right nevertheless.
    table = cv2.integral(values.view(np.uint8)).view(np.uint32)
    corners = table[y.edges][:, x.edges]
    columns = corners[1:] - corners[:-1]
    return columns[:, 1:] - columns[:, :-1]
