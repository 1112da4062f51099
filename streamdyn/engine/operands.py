"""Operands of kernels: every map becomes an array of row addresses, which calls fill in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cache import MEMORY
from streamdyn.engine.cpu import moves
from streamdyn.engine.cpu.crew import Call
from streamdyn.engine.cpu.rows import ROW_BYTES, Addresses, RowType
from streamdyn.engine.plan import Plan
from streamdyn.engine.regions import Region
from streamdyn.engine.storage import KeptMap, Storage
from streamdyn.engine.weights import Weights


@dataclass(slots=True)
class Operands:
    """The calls under construction, and where the operands of the next one lie."""

    plan: Plan
    storage: Storage
    weights: Weights
    dtype: RowType
    regions: Mapping[int, Region]  # of each map
    scratch: NDArray[np.uint8]  # of the packed maps
    packed: Mapping[int, int]  # where each of them lies in the scratch memory, in bytes
    fresh: bool = False  # whether a step writes to the scratch memory, to be taken over afterwards
    calls: list[Call] = field(default_factory=list)
    _addresses: dict[tuple[str, int], Addresses] = field(default_factory=dict)

    def locate(
        self, role: str, region: Region, base: str, indices: NDArray[np.int32], row_bytes: int,
        offset: int = 0,
    ) -> Addresses:  # fmt: skip
        """Addresses of rows of something that each stream has: its base + index * row_bytes."""
        return self._fill(role, region, region.bases(base), indices, row_bytes, offset)

    def _fill(
        self, role: str, region: Region, bases: Addresses, indices: NDArray[np.int32],
        row_bytes: int, offset: int,
    ) -> Addresses:  # fmt: skip
        """Add the call that computes addresses, and return where it writes them.

        The array is used again by the next step: calls run one after another.
        """
        key = role, len(indices)
        if key not in self._addresses:
            self._addresses[key] = np.zeros(len(indices), np.int64)
        targets = self._addresses[key]
        self.calls.append(
            moves.addresses(
                bases, indices, targets, row_bytes=row_bytes, offset=offset, count=region.count
            )
        )
        return targets

    def rows(self, role: str, value: int, region: Region, channel: int = 0) -> Addresses:
        """The rows of a map at the pixels of a region of its own resolution, from a channel on."""
        shift = channel * ROW_BYTES[self.dtype]
        kept = self.storage.kept.get(value)
        if kept is not None:
            y, x = np.divmod(np.arange(kept.height * kept.width), kept.width)
            indices = region.look_up(kept.index(y, x))
            return self.locate(role, region, MEMORY, indices, kept.row_bytes, kept.offset + shift)
        base, row_bytes = self._base(value), self._row_bytes(value)
        return self._fill(role, region, base, region.order, row_bytes, shift)

    def _base(self, value: int) -> Addresses:
        """Where a packed map lies: one address for all pixels."""
        scratch: int = self.scratch.__array_interface__["data"][0]
        return np.array([scratch + self.packed[value]], np.int64)

    def _row_bytes(self, value: int) -> int:
        kept = self.storage.kept.get(value)
        channels = kept.channels if kept else self.plan.graph.shapes[value][1]
        return channels * ROW_BYTES[self.dtype]

    def several_rows(self, kept: KeptMap, region: Region, index: NDArray[np.int32]) -> Addresses:
        """Several rows of a kept map for each pixel (n, k): (capacity, k) addresses."""
        several = index.shape[1]
        rows = np.zeros((region.capacity, several), np.int64)
        self.calls.append(
            moves.addresses(
                region.bases(MEMORY, several), region.look_up(index).ravel(), rows.ravel(),
                row_bytes=kept.row_bytes, offset=kept.offset, count=region.counts(several),
            )
        )  # fmt: skip
        return rows

    def targets(self, value: int, region: Region, channel: int = 0) -> Addresses:
        """The rows that a step writes."""
        if self.fresh:
            return self.fresh_rows("t", value, region, None, channel)
        return self.rows("t", value, region, channel)

    def fresh_rows(
        self, role: str, value: int, region: Region, order: NDArray[np.int32] | None = None,
        channel: int = 0,
    ) -> Addresses:  # fmt: skip
        """The rows of a map that were just computed, one after another in the scratch memory."""
        bases = np.array([self.scratch.__array_interface__["data"][0]], np.int64)
        size = ROW_BYTES[self.dtype]
        row_bytes = self.storage.kept[value].channels * size
        order = region.order if order is None else order
        return self._fill(role, region, bases, order, row_bytes, channel * size)

    def windows(
        self, role: str, value: int, out: tuple[int, ...], region: Region,
        stride: tuple[int, int], before: tuple[int, int],
    ) -> Addresses:  # fmt: skip
        """The rows at the upper left corners of the windows of a region's pixels."""
        kept = self.storage.kept.get(value)
        if kept is None:
            return self._block_rows(role, value, region, stride)
        y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
        index = kept.index(y * stride[0] - before[0], x * stride[1] - before[1])
        return self.locate(role, region, MEMORY, region.look_up(index), kept.row_bytes, kept.offset)

    def taps(
        self, value: int, kernel: tuple[int, int], dilation: tuple[int, int]
    ) -> NDArray[np.int64]:
        """How far from the first weight's row the row of each lies: (high, wide), in bytes."""
        kept, tile = self.storage.kept.get(value), self.regions[value].tile
        pitch = kept.pitch if kept else tile[1] if tile else 0
        y = np.arange(kernel[0])[:, None] * dilation[0] * pitch
        x = np.arange(kernel[1]) * dilation[1]
        return np.ascontiguousarray(((y + x) * self._row_bytes(value)).astype(np.int64))

    def nearest(self, role: str, value: int, out: tuple[int, ...], region: Region) -> Addresses:
        """The rows of a smaller map, or a larger one, at the place of a region's pixels."""
        kept = self.storage.kept.get(value)
        if kept is None:
            return self._block_rows(role, value, region, None)
        y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
        index = kept.index(y * kept.height // out[2], x * kept.width // out[3])
        return self.locate(role, region, MEMORY, region.look_up(index), kept.row_bytes, kept.offset)

    def _block_rows(
        self, role: str, value: int, region: Region, stride: tuple[int, int] | None
    ) -> Addresses:
        """The rows of a packed map on the same block as a region's pixels, at `stride` times their
        place on it; None: in proportion to the two sizes."""
        inside, outside = self.regions[value].tile, region.tile
        assert inside is not None
        assert outside is not None  # or else the map would be kept
        y, x = np.divmod(np.arange(outside[0] * outside[1]), outside[1])
        if stride:
            y, x = y * stride[0], x * stride[1]
        else:
            y, x = y * inside[0] // outside[0], x * inside[1] // outside[1]
        blocks = np.arange(region.capacity // len(y))[:, None]
        index = (blocks * (inside[0] * inside[1]) + y * inside[1] + x).ravel().astype(np.int32)
        return self._fill(role, region, self._base(value), index, self._row_bytes(value), 0)
