"""Copy and exact propagation: what is computed is known beforehand, so a call is one program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.compile import Compiler
from streamdyn.engine.cpu.crew import Program
from streamdyn.engine.cpu.matmul import fetch_ahead
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.plan import Plan, is_map
from streamdyn.engine.propagation import Request
from streamdyn.engine.propagation.growth import NOTHING, Changed, image_change, reach
from streamdyn.engine.regions import Indices, Pixels, Region
from streamdyn.engine.storage import Storage, packed_offsets
from streamdyn.engine.weights import Weights


@dataclass(slots=True)
class _Compiled:
    """The programs for calls of up to so many streams."""

    streams: int
    regions: dict[int, Region]  # of each map; maps may share one
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
        addresses = [cache.addresses(image) for image, _, cache in requests]
        self._fill(compiled.regions, requests, addresses)
        for part in compiled.parts:
            if isinstance(part, Program):
                part.run()
            else:
                for _, _, cache in requests:
                    cache.run_dense(self._plan.steps[part])

    @abstractmethod
    def _regions(self, streams: int) -> dict[int, Region]:
        """The region of each map, for up to so many streams."""

    @abstractmethod
    def _fill(
        self, regions: dict[int, Region], requests: Sequence[Request],
        addresses: Sequence[dict[str, int]],
    ) -> None:  # fmt: skip
        """Choose the pixels of a call."""

    def _compile(self, streams: int) -> _Compiled:
        """The programs for this number of streams, or some more."""
        if self._compiled is None or self._compiled.streams < streams:
            room = 1 << (streams - 1).bit_length()
            regions = self._regions(room)
            capacity = {value: region.capacity for value, region in regions.items()}
            packed, nbytes = packed_offsets(self._plan, self._dtype, capacity)
            scratch = np.zeros(nbytes, np.uint8)
            compiler = Compiler(
                self._plan, self._storage, self._weights, self._dtype, regions, scratch, packed
            )
            parts = self._parts(compiler)
            fetch_ahead([c for p in parts if isinstance(p, Program) for c in p.calls])
            self._compiled = _Compiled(room, regions, parts, scratch)
        return self._compiled

    def _parts(self, compiler: Compiler) -> list[Program | int]:
        """Programs of as many steps as possible, with the dense steps between them."""
        parts: list[Program | int] = []
        compiler.load_image()
        for number, step in enumerate(self._plan.steps):
            if step.dense:
                if compiler.calls:
                    parts.append(Program(compiler.calls))
                    compiler.calls.clear()
                parts.append(number)
            else:
                compiler.step(number)
                if step.target in self._plan.graph.outputs:
                    compiler.store_output(step.target)
        if compiler.calls:
            parts.append(Program(compiler.calls))
        return parts


class Copy(_Whole):
    """Every map is computed where the mask is: maps of one resolution share a region."""

    def __init__(
        self, grid: BlockGrid, plan: Plan, storage: Storage, weights: Weights, dtype: RowType
    ) -> None:
        super().__init__(plan, storage, weights, dtype)
        sizes = {shape[2:] for shape in plan.graph.shapes if is_map(shape)}
        self._pixels = {(h, w): Pixels(grid, h, w) for h, w in sizes}

    def parts(self, mask: BlockMask) -> dict[int, float]:
        """The fraction of its pixels that a mask makes compute, for each map."""
        by_size = {size: pixels.part(mask) for size, pixels in self._pixels.items()}
        return {
            value: by_size[shape[2], shape[3]]
            for value, shape in enumerate(self._plan.graph.shapes)
            if is_map(shape)
        }

    def _regions(self, streams: int) -> dict[int, Region]:
        by_size = {
            (h, w): Region(h * w * streams, pixels.tile) for (h, w), pixels in self._pixels.items()
        }
        return {
            value: by_size[shape[2], shape[3]]
            for value, shape in enumerate(self._plan.graph.shapes)
            if is_map(shape)
        }

    def _fill(
        self, regions: dict[int, Region], requests: Sequence[Request],
        addresses: Sequence[dict[str, int]],
    ) -> None:  # fmt: skip
        filled: set[int] = set()
        for value, region in regions.items():
            if id(region) not in filled:
                _, _, height, width = self._plan.graph.shapes[value]
                pixels = self._pixels[height, width]
                region.fill([pixels.of(mask) for _, mask, _ in requests], addresses)
                filled.add(id(region))


class Exact(_Whole):
    """Every map has its own region: what the change of the image reaches."""

    def parts(self, mask: BlockMask) -> dict[int, float]:
        """The fraction of its pixels that a mask makes compute, for each map."""
        return parts_of(mask, self._plan)

    def _regions(self, streams: int) -> dict[int, Region]:
        return {
            value: Region(shape[2] * shape[3] * streams)
            for value, shape in enumerate(self._plan.graph.shapes)
            if is_map(shape)
        }

    def _fill(
        self, regions: dict[int, Region], requests: Sequence[Request],
        addresses: Sequence[dict[str, int]],
    ) -> None:  # fmt: skip
        reached = [reach_all(mask, self._plan) for _, mask, _ in requests]
        for value, region in regions.items():
            if all(value in changed for changed in reached):
                region.fill([numbers(changed[value]) for changed in reached], addresses)


def reach_all(mask: BlockMask, plan: Plan) -> dict[int, Changed]:
    """For each value, which of its pixels depend on the masked blocks of the image."""
    changed = {0: image_change(mask)} | dict.fromkeys(plan.constants, NOTHING)
    for step in plan.steps:
        changed |= reach(step, changed, plan.graph)
    return changed


def parts_of(mask: BlockMask, plan: Plan) -> dict[int, float]:
    """The fraction of its pixels that depends on the masked blocks, for each map."""
    return {value: float(changed.mean()) for value, changed in reach_all(mask, plan).items()}


def numbers(changed: Changed) -> Indices:
    """The numbers (y * width + x) of the pixels that changed."""
    return np.flatnonzero(changed).astype(np.int32)
