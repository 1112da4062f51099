"""From the steps of a plan to the calls of kernels that compute them: a network is one program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cache import IMAGE, MEMORY, output_of, sums_of
from streamdyn.engine.cpu import image, moves, reduce
from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.places import Steps
from streamdyn.engine.operands import Operands
from streamdyn.engine.operations import MAKERS
from streamdyn.engine.regions import Region


@dataclass(slots=True)
class Compiler(Operands):
    """Makes the calls of steps, for regions of a certain capacity."""

    def step(self, number: int) -> None:
        """Add the calls of a step."""
        step = self.plan.steps[number]
        region = self.regions[step.target]
        pooled = self.plan.pooled(step.target) and not self.fresh
        if pooled:
            self._add_up(step.target, region, -1.0)
        MAKERS[type(step.node.op)](self, number, step, region)
        if pooled:
            self._add_up(step.target, region, 1.0)

    def load_image(self) -> None:
        """Add the calls that take over the chosen pixels of the image, given as planes."""
        region, kept = self.regions[0], self.storage.kept[0]
        planes, plane_bytes = Steps(0, 4 * kept.width, 4), 4 * kept.width * kept.height
        images, maps = self.streams.bases(IMAGE), self.streams.bases(MEMORY)
        rows = None if self.fresh else kept.steps()
        if rows is None:
            maps = np.array([self.scratch.ctypes.data])
        self.calls.append(
            image.load_image(region.places, planes, plane_bytes, images, rows, maps, self.dtype)
        )

    def take_calls(self) -> list[Call]:
        """The calls that were added since this was last asked."""
        calls, self.calls = self.calls, []
        return calls

    def compare(self, value: int, differences: NDArray[np.float32]) -> None:
        """Add the calls that compare fresh rows with the kept ones."""
        region = self.regions[value]
        fresh, kept = self.targets(value, region), self.rows("r", value, region)
        channels = self.storage.kept[value].channels
        self.calls.append(
            reduce.difference(fresh, kept, differences, channels, self.dtype, count=region.count)
        )

    def take_over(self, value: int, passed: Region, chosen: NDArray[np.int32]) -> None:
        """Add the calls that copy some fresh rows to the kept map, and all that follows from it.

        Args:
            passed: the pixels to take over.
            chosen: which of the fresh rows they are.
        """
        pooled = self.plan.pooled(value)
        if pooled:
            self._add_up(value, passed, -1.0)
        fresh = self.fresh_rows(value, chosen, passed.count)
        channels = self.storage.kept[value].channels
        targets = self.rows("t", value, passed)
        self.calls.append(moves.copy(fresh, targets, channels, self.dtype, count=passed.count))
        if pooled:
            self._add_up(value, passed, 1.0)
        if value in self.plan.graph.outputs:
            self.store_output(value, passed)

    def store_output(self, value: int, region: Region | None = None) -> None:
        """Add the calls that write the chosen pixels of a map to the planes that are returned."""
        region = region or self.regions[value]
        _, channels, height, width = self.plan.graph.shapes[value]
        sources = self.rows("a", value, region)
        targets = self.locate("t", region, output_of(value), Steps(0, 4 * width, 4))
        self.calls.append(
            image.store_planes(
                sources, targets, 4 * height * width, channels, self.dtype, count=region.count
            )
        )

    def _add_up(self, value: int, region: Region, factor: float) -> None:
        rows = self.rows("a", value, region)
        totals = self.locate("r", region, sums_of(value), Steps(0, 0, 0))
        channels = self.plan.graph.shapes[value][1]
        self.calls.append(
            reduce.add_up(rows, factor, totals, channels, self.dtype, count=region.count)
        )
