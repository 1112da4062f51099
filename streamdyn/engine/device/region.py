"""The pixels that a call computes, on the device: of all streams, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.plan import Plan, is_map
from streamdyn.engine.propagation.whole import reach_all
from streamdyn.engine.regions import Pixels

Indices = NDArray[np.integer[Any]]
Choice = Callable[[BlockMask], Mapping[int, Indices]]
"""From a mask to the numbers of the pixels to compute, for each map."""


@dataclass(slots=True, eq=False)
class Region:
    """Pixels of maps of one size. All tensors are (n,) int64."""

    numbers: Tensor  # y * width + x
    streams: Tensor  # which request of the call each belongs to
    slots: Tensor  # which slot of the arena
    counts: list[int]  # how many of each stream
    _looked_up: dict[tuple[int | None, int], Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def own(self, rows: int) -> Tensor:
        """The rows of these pixels in the arena: (n,) int64."""
        if (None, rows) not in self._looked_up:
            self._looked_up[None, rows] = self.numbers + self.slots * rows
        return self._looked_up[None, rows]

    def only(self, chosen: Tensor) -> Region:
        """Some of the pixels: those where `chosen` (n,) is true."""
        counts = [int(part.sum()) for part in torch.split(chosen, self.counts)]
        return Region(self.numbers[chosen], self.streams[chosen], self.slots[chosen], counts)

    def look_up(self, table: Tensor, rows: int) -> Tensor:
        """The rows of the arena in `table` (pixels, taps) for each pixel: (n, taps) int32.

        Args:
            rows: of a slot, in the map that is read.
        """
        key = id(table), rows
        if key not in self._looked_up:
            found = table.index_select(0, self.numbers)
            self._looked_up[key] = found + (self.slots * rows).to(table.dtype)[:, None]
        return self._looked_up[key]


def regions(
    chosen: Sequence[Sequence[Indices]], slots: Sequence[int], device: torch.device
) -> list[Region]:
    """Regions from the pixels of each stream in each of them, sent in one transfer."""
    counts = [[len(each) for each in streams] for streams in chosen]
    order = np.concatenate([np.repeat(np.arange(len(slots)), count) for count in counts])
    pixels = np.concatenate([each for streams in chosen for each in streams])
    host = np.stack([pixels, order, np.asarray(slots)[order]]).astype(np.int64)
    parts = torch.split(torch.from_numpy(host).to(device), [sum(count) for count in counts], 1)
    pairs = zip(parts, counts, strict=True)
    return [Region(part[0], part[1], part[2], count) for part, count in pairs]


def copied(plan: Plan, grid: BlockGrid) -> Choice:
    """Every map is computed where the mask is: maps of one size share an array."""
    shapes = dict(enumerate(plan.graph.shapes))
    size_of = {value: (shape[2], shape[3]) for value, shape in shapes.items() if is_map(shape)}
    pixels = {size: Pixels(grid, *size) for size in set(size_of.values())}

    def choose(mask: BlockMask) -> Mapping[int, Indices]:
        by_size = {size: each.of(mask).numbers(size[1]) for size, each in pixels.items()}
        return {value: by_size[size] for value, size in size_of.items()}

    return choose


def reached(plan: Plan) -> Choice:
    """Every map is computed where the change of the image reaches."""

    def choose(mask: BlockMask) -> Mapping[int, Indices]:
        return {value: np.flatnonzero(changed) for value, changed in reach_all(mask, plan).items()}

    return choose
