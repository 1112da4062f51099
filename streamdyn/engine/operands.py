"""Operands of kernels: every map becomes an array of row addresses, one for each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cache import MEMORY
from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.places import Steps, addresses, looked_up
from streamdyn.engine.cpu.rows import ROW_BYTES, Addresses, RowType
from streamdyn.engine.plan import Plan
from streamdyn.engine.regions import Region, Streams
from streamdyn.engine.resampling import nearest
from streamdyn.engine.storage import KeptMap, Storage
from streamdyn.engine.weights import Weights

Pair = tuple[int, int]  # y, x


@dataclass(slots=True)
class Operands:
    """The calls under construction, and where the operands of the next one lie.

    Packed rows have the same addresses in every call of the network. Those of kept maps depend on
    the pixels and the streams: the program itself computes them, early, into arrays that steps
    share; `role` tells those of one step apart.
    """

    plan: Plan
    storage: Storage
    weights: Weights
    dtype: RowType
    streams: Streams
    regions: Mapping[int, Region]  # of each map
    scratch: NDArray[np.uint8]  # of the packed maps
    packed: Mapping[int, int]  # where each of them lies in the scratch memory, in bytes
    fresh: bool = False  # whether a step writes to the scratch memory, to be taken over afterwards
    calls: list[Call] = field(default_factory=list)
    _shared: dict[tuple[str, int, tuple[int, ...]], Addresses] = field(default_factory=dict)
    _packed: dict[tuple[int, int, int], Addresses] = field(default_factory=dict)

    def locate(self, role: str, region: Region, base: str, steps: Steps) -> Addresses:
        """The rows of what each stream has at the pixels of a region, from its base on."""
        targets = self._share(role, region.capacity)
        bases = self.streams.bases(base)
        self.calls.append(addresses(region.places, steps, bases, targets))
        return targets

    def _share(self, role: str, *shape: int) -> Addresses:
        """An array for addresses that the next kernel reads, and no other that may still run: its
        addresses are computed during the call before, and each of these may be a joined pair."""
        turn = sum(not call.early for call in self.calls) % 4
        return self._shared.setdefault((role, turn, shape), np.zeros(shape, np.int64))

    def several_rows(self, kept: KeptMap, region: Region, table: NDArray[np.int32]) -> Addresses:
        """Several rows of a kept map for each pixel, by a table (pixels, k): (capacity, k)."""
        return self._looked_up(region, table, Steps(kept.offset, 0, kept.row_bytes))

    def _looked_up(self, region: Region, table: NDArray[np.int32], steps: Steps) -> Addresses:
        found = region.look_up(table)
        targets = self._share("a", *found.shape)
        high, wide = region.tile or (1, 1)
        self.calls.append(
            looked_up(
                found, steps, self.streams.bases(MEMORY), region.places.ends, targets,
                unit=high * wide, count=region.count,
            )
        )  # fmt: skip
        return targets

    def rows(self, role: str, value: int, region: Region, channel: int = 0) -> Addresses:
        """The rows of a map at the pixels of a region of its own resolution, from a channel on."""
        shift = channel * ROW_BYTES[self.dtype]
        kept = self.storage.kept.get(value)
        if kept is None:
            return self._in_order(self._packed_base(value) + shift, value, region.capacity)
        steps = kept.steps()
        return self.locate(role, region, MEMORY, steps._replace(origin=steps.origin + shift))

    def targets(self, value: int, region: Region, channel: int = 0) -> Addresses:
        """The rows that a step writes."""
        if self.fresh:
            shift = channel * ROW_BYTES[self.dtype]
            return self._in_order(self.scratch.ctypes.data + shift, value, region.capacity)
        return self.rows("t", value, region, channel)

    def fresh_rows(
        self, value: int, order: NDArray[np.int32], count: NDArray[np.int64]
    ) -> Addresses:
        """Some of the rows of a map that were just computed, in an `order` that each call sets."""
        targets = np.zeros((len(order), 1), np.int64)
        base, end = np.array([self.scratch.ctypes.data]), np.array([len(order)])
        steps = Steps(0, 0, self._row_bytes(value))
        self.calls.append(looked_up(order[:, None], steps, base, end, targets, count=count))
        return targets.ravel()

    def windows(
        self, role: str, value: int, region: Region, stride: Pair, before: Pair
    ) -> Addresses:
        """The rows at the upper left corners of the windows of a region's pixels."""
        kept = self.storage.kept.get(value)
        if kept is None:
            return self._block_rows(value, region, stride, (1, 1))
        return self.locate(role, region, MEMORY, kept.steps(stride, before))

    def nearest(self, value: int, out: tuple[int, ...], region: Region) -> Addresses:
        """The rows of a map of another size at the places of a region's pixels."""
        kept = self.storage.kept.get(value)
        size = self.plan.graph.shapes[value][2:]
        if kept is None:
            return self._block_rows(value, region, (1, 1), (out[2] // size[0], out[3] // size[1]))
        y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
        index = kept.index(nearest(size[0], out[2])[y], nearest(size[1], out[3])[x])
        return self.several_rows(kept, region, index[:, None]).ravel()

    def interleaved(
        self, values: Sequence[int], stride: Pair, out: tuple[int, ...], region: Region
    ) -> Addresses:
        """The rows of the maps of phases, which lie alike, at the places of a region's pixels."""
        kept = self.storage.kept.get(values[0])
        if kept is None:
            assert region.tile is not None  # or else the maps would be kept
            bases = np.array([self._packed_base(value) for value in values])
            y, x = np.divmod(np.arange(region.capacity), region.tile[1])
            phase = y % region.tile[0] % stride[0] * stride[1] + x % stride[1]
            first = self._block_rows(values[0], region, (1, 1), stride)
            found: Addresses = first + (bases[phase] - bases[0])
            return found
        unit = ROW_BYTES[self.dtype]
        offsets = np.array([self.storage.kept[value].offset for value in values])
        y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
        phase = y % stride[0] * stride[1] + x % stride[1]
        place = kept.index(y // stride[0], x // stride[1]) * kept.channels
        table = (place + offsets[phase] // unit).astype(np.int32)[:, None]
        return self._looked_up(region, table, Steps(0, 0, unit)).ravel()

    def taps(self, value: int, kernel: Pair, dilation: Pair) -> NDArray[np.int64]:
        """How far from the first weight's row the row of each lies: (high, wide), in bytes."""
        kept, tile = self.storage.kept.get(value), self.regions[value].tile
        pitch = kept.pitch if kept else tile[1] if tile else 0
        y = np.arange(kernel[0])[:, None] * dilation[0] * pitch
        x = np.arange(kernel[1]) * dilation[1]
        return np.ascontiguousarray(((y + x) * self._row_bytes(value)).astype(np.int64))

    def _block_rows(self, value: int, region: Region, stride: Pair, divisor: Pair) -> Addresses:
        """The rows of a packed map on the same block as a region's pixels, each at its place there
        times `stride`, over `divisor`."""
        inside, outside = self.regions[value].tile, region.tile
        assert inside is not None
        assert outside is not None  # or else the map would be kept
        y, x = np.divmod(np.arange(outside[0] * outside[1]), outside[1])
        y, x = y * stride[0] // divisor[0], x * stride[1] // divisor[1]
        blocks = np.arange(region.capacity // len(y))[:, None]
        index: Addresses = (blocks * (inside[0] * inside[1]) + y * inside[1] + x).ravel()
        return self._packed_base(value) + index * self._row_bytes(value)

    def _in_order(self, base: int, value: int, capacity: int) -> Addresses:
        """Rows one after another."""
        key = base, self._row_bytes(value), capacity
        if key not in self._packed:
            self._packed[key] = base + np.arange(capacity) * key[1]
        return self._packed[key]

    def _packed_base(self, value: int) -> int:
        scratch: int = self.scratch.ctypes.data
        return scratch + self.packed[value]

    def _row_bytes(self, value: int) -> int:
        kept = self.storage.kept.get(value)
        channels = kept.channels if kept else self.plan.graph.shapes[value][1]
        return channels * ROW_BYTES[self.dtype]
