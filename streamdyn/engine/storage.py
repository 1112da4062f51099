"""Where the values of a network lie in memory: maps in the caches of streams, and scratch.

A kept map is channels-last, a row of numbers for each pixel, with a border of zeros as wide as its
readers reach beyond it; a tap of a convolution is then a constant distance from a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from streamdyn.engine.cpu.places import Steps
from streamdyn.engine.cpu.rows import ROW_BYTES, RowType
from streamdyn.engine.graph import Sides
from streamdyn.engine.plan import Place, Plan, is_map

ALIGNMENT: Final = 64  # bytes
SLACK: Final = 64  # bytes behind a map that vectors may touch


@dataclass(frozen=True, slots=True)
class KeptMap:
    """A map in the cache of each stream."""

    offset: int  # bytes from the start of the cache
    height: int
    width: int
    channels: int
    border: Sides
    dtype: RowType

    @property
    def pitch(self) -> int:
        """Rows from a pixel to the one below."""
        return self.width + self.border[1] + self.border[3]

    @property
    def row_bytes(self) -> int:
        return self.channels * ROW_BYTES[self.dtype]

    @property
    def nbytes(self) -> int:
        top, _, bottom, _ = self.border
        return (self.height + top + bottom) * self.pitch * self.row_bytes

    def steps(self, stride: tuple[int, int] = (1, 1), before: tuple[int, int] = (0, 0)) -> Steps:
        """From the start of the cache to the row of pixel (0, 0), then of those below and right of
        it: of the pixels at `stride` times the place of others, less `before`."""
        first = (self.border[0] - before[0]) * self.pitch + self.border[1] - before[1]
        down, right = stride[0] * self.pitch, stride[1]
        return Steps(
            self.offset + first * self.row_bytes, down * self.row_bytes, right * self.row_bytes
        )

    def index(self, y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int32]:
        """The number of the row of pixel (y, x), which may lie in the border."""
        return ((y + self.border[0]) * self.pitch + x + self.border[1]).astype(np.int32)

    def view(self, memory: torch.Tensor) -> torch.Tensor:
        """The map in a cache, without its border: (1, C, H, W), a view."""
        kind = torch.bfloat16 if self.dtype == "bfloat16" else torch.float32
        whole = memory[self.offset : self.offset + self.nbytes].view(kind)
        rows = whole.view(-1, self.pitch, self.channels)
        top, left, _, _ = self.border
        inner = rows[top : top + self.height, left : left + self.width]
        return inner.permute(2, 0, 1)[None]


class Storage:
    """The layout of a plan's values.

    Attributes:
        kept: the maps in the cache of each stream, by value.
        cache_bytes: of these together.
    """

    def __init__(self, plan: Plan, dtype: RowType) -> None:
        self.kept: dict[int, KeptMap] = {}
        self.cache_bytes = 0
        for value, place in plan.places.items():
            shape = plan.graph.shapes[value]
            if place is Place.KEPT:
                border = plan.borders.get(value, (0, 0, 0, 0))
                kept = KeptMap(self.cache_bytes, shape[2], shape[3], shape[1], border, dtype)
                self.kept[value] = kept
                self.cache_bytes += -(-(kept.nbytes + SLACK) // ALIGNMENT) * ALIGNMENT


def packed_offsets(
    plan: Plan, dtype: RowType, capacity: dict[int, int]
) -> tuple[dict[int, int], int]:
    """Where each packed map lies in the scratch memory, and how large that is, in bytes.

    Maps that are never needed at the same time share memory.

    Args:
        capacity: the most pixels that each map can have.
    """
    last_read = {value: i for i, step in enumerate(plan.steps) for value in step.reads}
    offsets: dict[int, int] = {}
    busy: dict[int, tuple[int, int]] = {}  # begin, end of the maps that are still needed
    size = 0
    for i, step in enumerate(plan.steps):
        value = step.target
        shape = plan.graph.shapes[value]
        if plan.places[value] is Place.PACKED and is_map(shape):
            nbytes = capacity[value] * shape[1] * ROW_BYTES[dtype] + SLACK
            begin = _gap(sorted(busy.values()), -(-nbytes // ALIGNMENT) * ALIGNMENT)
            end = begin + -(-nbytes // ALIGNMENT) * ALIGNMENT
            offsets[value], busy[value] = begin, (begin, end)
            size = max(size, end)
        busy = {v: place for v, place in busy.items() if last_read.get(v, i) > i}
    return offsets, size


def _gap(busy: list[tuple[int, int]], nbytes: int) -> int:
    """The first place where so many bytes are free."""
    begin = 0
    for taken, end in busy:
        if taken - begin >= nbytes:
            break
        begin = max(begin, end)
    return begin
