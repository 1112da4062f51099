"""The kept maps of all streams of a network, side by side on one device.

One kernel then reaches the rows of any stream by their numbers. A stream holds a slot: of every
map as many rows as the map has pixels, and a row of zeros that stands for what is off the map.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import torch
from torch import Tensor


class Arena:
    """Slots for streams; it grows when none is free.

    Args:
        shapes: of all values.
        kept: the maps among them that are kept.

    Attributes:
        maps: by value, (slots * rows, channels).
        rows: of a slot, by value.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, ...]], kept: Iterable[int], like: Tensor
    ) -> None:
        self._shapes = shapes
        self.rows = {value: prod(shapes[value][2:]) + 1 for value in sorted(kept)}
        self.maps = {value: like.new_zeros(0, shapes[value][1]) for value in self.rows}
        self._slots = 0
        self._free: list[int] = []

    @property
    def slot_bytes(self) -> int:
        """Memory of one stream."""
        return sum(
            rows * self.maps[value].shape[1] * self.maps[value].element_size()
            for value, rows in self.rows.items()
        )

    def take(self) -> int:
        """A slot for a stream, to be given back."""
        if self._free:
            return self._free.pop()
        for value, rows in self.rows.items():
            old = self.maps[value]
            self.maps[value] = torch.cat([old, old.new_zeros(rows, old.shape[1])])
        self._slots += 1
        return self._slots - 1

    def give_back(self, slot: int) -> None:
        """Let another stream have a slot."""
        self._free.append(slot)

    def whole(self, value: int, slot: int) -> Tensor:
        """The map of one stream: (1, C, H, W), a view."""
        _, channels, height, width = self._shapes[value]
        begin = slot * self.rows[value]
        rows = self.maps[value][begin : begin + height * width]
        return rows.view(1, height, width, channels).permute(0, 3, 1, 2)
