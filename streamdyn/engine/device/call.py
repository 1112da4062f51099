"""One call: what has been computed of it so far, and where its steps find what they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from streamdyn.engine.device.arena import Arena
from streamdyn.engine.device.kernels import Kernels
from streamdyn.engine.device.region import Region


@dataclass(slots=True)
class Call:
    """See `Reads`. What a step has computed is kept at hand for steps of the same region."""

    shapes: Sequence[tuple[int, ...]]
    arena: Arena
    kernels: Kernels
    region: Region  # of the step that is being computed
    _at_hand: dict[int, tuple[Region, Tensor]] = field(default_factory=dict)

    def at(self, table: Tensor) -> Tensor:
        """The rows of a table (pixels, ...) for the pixels of the region."""
        return table.index_select(0, self.region.numbers)

    def own(self, value: int) -> Tensor:
        """The rows (n, C) of a map at these pixels; of a map of one pixel, that one."""
        region, rows = self._at_hand.get(value, (None, None))
        if region is self.region and rows is not None:
            return rows
        stride = self.arena.rows[value]
        single = self.shapes[value][2:] == (1, 1)
        index = self.region.slots * stride if single else self.region.own(stride)
        return self.arena.maps[value].index_select(0, index)

    def beyond(self, value: int, table: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of a map, and which of them `table` names for these pixels: (n, taps)."""
        return self.arena.maps[value], self.region.look_up(table, self.arena.rows[value])

    def keep(self, value: int, rows: Tensor) -> None:
        """Take over the rows (n, C) that a step has computed."""
        rows = rows.contiguous()
        self._at_hand[value] = self.region, rows
        self.put(value, self.region, rows)

    def put(self, value: int, region: Region, rows: Tensor) -> None:
        """Copy rows to a map, if it is kept."""
        if value in self.arena.maps:
            target = self.arena.maps[value]
            self.kernels.put(rows, region.own(self.arena.rows[value]), target)

    def let_go(self, values: Sequence[int]) -> None:
        """Forget what no later step reads."""
        for value in values:
            self._at_hand.pop(value, None)


def image_rows(images: Sequence[Tensor], region: Region, dtype: torch.dtype) -> Tensor:
    """The pixels of images (1, 3, H, W) as rows (n, 3)."""
    parts = zip(images, torch.split(region.numbers, region.counts), strict=True)
    rows = [image[0].flatten(1).index_select(1, numbers).T for image, numbers in parts]
    return torch.cat(rows).to(dtype)
