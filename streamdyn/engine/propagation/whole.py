"""Copy and exact propagation: what is computed is known beforehand, so a call is one program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.cache import parts_of_stream
from streamdyn.engine.compile import Compiler
from streamdyn.engine.cpu.chains import chained
from streamdyn.engine.cpu.crew import Program
from streamdyn.engine.cpu.matmul import fetch_ahead
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.plan import Plan, is_map
from streamdyn.engine.propagation import Request
from streamdyn.engine.propagation.growth import NOTHING, Changed, image_change, reach
from streamdyn.engine.regions import (
    Blocks,
    Pixels,
    PointRegion,
    Region,
    RunRegion,
    Runs,
    Streams,
    TileRegion,
)
from streamdyn.engine.storage import Storage, packed_offsets
from streamdyn.engine.weights import Weights


class _Regions(ABC):
    """The region of each map; maps may share one."""

    of: Mapping[int, Region]

    @abstractmethod
    def fill(self, masks: Sequence[BlockMask]) -> None:
        """Choose the pixels of a call."""


@dataclass(slots=True)
class _Compiled:
    """The programs for calls of up to so many streams."""

    streams: Streams
    regions: _Regions
    parts: list[Program | int]  # programs, and the numbers of the dense steps between them
    scratch: NDArray[np.uint8]  # which the programs' addresses point into


class _Whole(ABC):
    def __init__(self, plan: Plan, storage: Storage, weights: Weights, dtype: RowType) -> None:
        self._plan, self._storage, self._weights = plan, storage, weights
        self._dtype = dtype
        self._compiled: _Compiled | None = None

    def prepare(self, streams: int) -> None:
        """Make ready for calls of so many streams."""
        self._compile(streams)

    def run(self, requests: Sequence[Request]) -> None:
        """Compute, and leave the results in the caches."""
        compiled = self._compile(len(requests))
        compiled.streams.fill([cache.addresses(image) for image, _, cache in requests])
        compiled.regions.fill([mask for _, mask, _ in requests])
        for part in compiled.parts:
            if isinstance(part, Program):
                part.run()
            else:
                for _, _, cache in requests:
                    cache.run_dense(self._plan.steps[part])

    @abstractmethod
    def _regions(self, streams: int) -> _Regions:
        """The regions for up to so many streams."""

    def _compile(self, streams: int) -> _Compiled:
        """The programs for this number of streams, or some more."""
        if self._compiled is None or self._compiled.streams.most < streams:
            room = Streams(1 << (streams - 1).bit_length(), parts_of_stream(self._plan))
            regions = self._regions(room.most)
            capacity = {value: region.capacity for value, region in regions.of.items()}
            packed, nbytes = packed_offsets(self._plan, self._dtype, capacity)
            scratch = np.zeros(nbytes, np.uint8)
            compiler = Compiler(
                self._plan, self._storage, self._weights, self._dtype, room, regions.of,
                scratch, packed,
            )  # fmt: skip
            parts = self._parts(compiler)
            fetch_ahead([c for p in parts if isinstance(p, Program) for c in p.calls])
            self._compiled = _Compiled(room, regions, parts, scratch)
        return self._compiled

    def _parts(self, compiler: Compiler) -> list[Program | int]:
        """Programs of as many steps as possible, with the dense steps between them."""
        parts: list[Program | int] = []
        compiler.load_image()
        if 0 in self._plan.graph.outputs:
            compiler.store_output(0)
        for number, step in enumerate(self._plan.steps):
            if step.dense:
                if compiler.calls:
                    parts.append(Program(chained(compiler.take_calls())))
                parts.append(number)
            else:
                compiler.step(number)
                if step.target in self._plan.graph.outputs:
                    compiler.store_output(step.target)
        if compiler.calls:
            parts.append(Program(chained(compiler.take_calls())))
        return parts


class Copy(_Whole):
    """Every map is computed where the mask is: maps of one resolution share a region."""

    def __init__(
        self, grid: BlockGrid, plan: Plan, storage: Storage, weights: Weights, dtype: RowType
    ) -> None:
        super().__init__(plan, storage, weights, dtype)
        self._grid = grid
        shapes = enumerate(plan.graph.shapes)
        self._sizes = {value: (shape[2], shape[3]) for value, shape in shapes if is_map(shape)}
        self._pixels = {size: Pixels(grid, *size) for size in self._sizes.values()}

    def parts(self, mask: BlockMask) -> dict[int, float]:
        """The fraction of its pixels that a mask makes compute, for each map."""
        by_size = {size: pixels.part(mask) for size, pixels in self._pixels.items()}
        return {value: by_size[size] for value, size in self._sizes.items()}

    def _regions(self, streams: int) -> _Regions:
        return _Masked(self._grid, self._pixels, self._sizes, streams)


class _Masked(_Regions):
    """What lies on the masked blocks, at each resolution."""

    def __init__(
        self, grid: BlockGrid, pixels: Mapping[tuple[int, int], Pixels],
        sizes: Mapping[int, tuple[int, int]], streams: int,
    ) -> None:  # fmt: skip
        self._blocks = Blocks(grid, streams)
        self._points = PointRegion(streams)
        self._tiled: list[TileRegion] = []
        self._others: list[tuple[Pixels, RunRegion]] = []
        by_size: dict[tuple[int, int], Region] = {}
        for size, each in pixels.items():
            if size == (1, 1):
                by_size[size] = self._points
            elif each.tile:
                self._tiled.append(TileRegion(size, each.tile, self._blocks))
                by_size[size] = self._tiled[-1]
            else:
                self._others.append((each, RunRegion(size, streams)))
                by_size[size] = self._others[-1][1]
        self.of = {value: by_size[size] for value, size in sizes.items()}

    def fill(self, masks: Sequence[BlockMask]) -> None:
        blocks = self._blocks.fill(masks)
        self._points.fill(len(masks))
        for region in self._tiled:
            region.fill(blocks)
        for pixels, others in self._others:
            others.fill([pixels.of(mask) for mask in masks])


class Exact(_Whole):
    """Every map has its own region: what the change of the image reaches."""

    def parts(self, mask: BlockMask) -> dict[int, float]:
        """The fraction of its pixels that a mask makes compute, for each map."""
        return parts_of(mask, self._plan)

    def _regions(self, streams: int) -> _Regions:
        return _Reached(self._plan, streams)


class _Reached(_Regions):
    """What depends on the masked blocks."""

    def __init__(self, plan: Plan, streams: int) -> None:
        self._plan = plan
        shapes = enumerate(plan.graph.shapes)
        self._own = {
            value: RunRegion((shape[2], shape[3]), streams)
            for value, shape in shapes
            if is_map(shape)
        }
        self.of = self._own

    def fill(self, masks: Sequence[BlockMask]) -> None:
        reached = [reach_all(mask, self._plan) for mask in masks]
        for value, region in self._own.items():
            if all(value in changed for changed in reached):
                region.fill([Runs.of(changed[value]) for changed in reached])


def reach_all(mask: BlockMask, plan: Plan) -> dict[int, Changed]:
    """For each value, which of its pixels depend on the masked blocks of the image."""
    changed = {0: image_change(mask)} | dict.fromkeys(plan.constants, NOTHING)
    for step in plan.steps:
        changed |= reach(step, changed, plan.graph)
    return changed


def parts_of(mask: BlockMask, plan: Plan) -> dict[int, float]:
    """The fraction of its pixels that depends on the masked blocks, for each map."""
    return {value: float(changed.mean()) for value, changed in reach_all(mask, plan).items()}
