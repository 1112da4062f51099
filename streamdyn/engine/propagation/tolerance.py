"""Propagation with a tolerance: what is passed on is known only once it has been computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.engine.cache import parts_of_stream
from streamdyn.engine.compile import Compiler
from streamdyn.engine.cpu.crew import Program
from streamdyn.engine.cpu.rows import ROW_BYTES, RowType
from streamdyn.engine.plan import Plan, is_map
from streamdyn.engine.propagation import Request
from streamdyn.engine.propagation.growth import NOTHING, Changed, image_change, reach
from streamdyn.engine.propagation.whole import parts_of
from streamdyn.engine.regions import RunRegion, Runs, Streams
from streamdyn.engine.storage import SLACK, Storage
from streamdyn.engine.weights import Weights


@dataclass(slots=True)
class _Stage:
    """What computes one map: into fresh rows first, of which those that differ are taken over."""

    value: int
    computed: RunRegion
    passed: RunRegion
    compute: Program
    take_over: Program
    differences: NDArray[np.float32]  # of each computed pixel from the kept one
    chosen: NDArray[np.int32]  # which of the fresh rows are passed on


class Tolerance:
    """Holds back what differs by no more than a tolerance from what was last passed on.

    A key frame passes on everything.
    """

    def __init__(
        self, plan: Plan, storage: Storage, weights: Weights, dtype: RowType, tolerance: float
    ) -> None:
        self._plan, self._storage, self._weights = plan, storage, weights
        self._dtype, self._tolerance = dtype, tolerance
        self._stages: dict[int, _Stage] = {}  # by the value that is made
        self._fresh = np.zeros(0, np.uint8)
        self._streams = Streams(0, ())

    def prepare(self, streams: int) -> None:
        """Make ready for calls of so many streams."""
        self._compile(streams)

    def run(self, requests: Sequence[Request]) -> None:
        """Compute, and leave the results in the caches."""
        self._compile(len(requests))
        self._streams.fill([cache.addresses(image) for image, _, cache in requests])
        key = [mask.density == 1 for _, mask, _ in requests]
        changed = [dict.fromkeys(self._plan.constants, NOTHING) for _ in requests]
        asked = [image_change(mask) for _, mask, _ in requests]
        self._run_stage(self._stages[0], asked, key, changed)
        for step in self._plan.steps:
            reached = [reach(step, each, self._plan.graph) for each in changed]
            if step.dense:
                for (_, _, cache), each, new in zip(requests, changed, reached, strict=True):
                    if any(found.any() for found in new.values()):
                        cache.run_dense(step)
                    each.update(new)
            else:
                asked = [new[step.target] for new in reached]
                self._run_stage(self._stages[step.target], asked, key, changed)

    def parts(self, mask: BlockMask) -> dict[int, float]:
        """The fraction of its pixels that a mask makes compute at most, for each map."""
        return parts_of(mask, self._plan)

    def _run_stage(
        self, stage: _Stage, asked: Sequence[Changed], key: Sequence[bool],
        changed: Sequence[dict[int, Changed]],
    ) -> None:  # fmt: skip
        """Compute the pixels that are asked for, and note those that were passed on."""
        stage.computed.fill([Runs.of(each) for each in asked])
        stage.compute.run()
        rows = []
        for part, pixels, everything, each in zip(
            stage.computed.parts, asked, key, changed, strict=True
        ):
            # What is not a number differs from everything.
            found = ~(stage.differences[part] <= self._tolerance) | everything
            each[stage.value] = passed = pixels.copy()
            passed[pixels] = found
            rows.append(np.flatnonzero(found) + part.start)
        stage.passed.fill([Runs.of(each[stage.value]) for each in changed])
        chosen = np.concatenate(rows)
        stage.chosen[: len(chosen)] = chosen
        stage.take_over.run()

    def _compile(self, streams: int) -> None:
        """Make the programs for this number of streams, or some more."""
        if self._streams.most >= streams:
            return
        self._streams = Streams(1 << (streams - 1).bit_length(), parts_of_stream(self._plan))
        shapes = self._plan.graph.shapes
        computed = {
            value: RunRegion((shape[2], shape[3]), self._streams.most)
            for value, shape in enumerate(shapes)
            if is_map(shape)
        }
        most = max(shapes[value][1] * room.capacity for value, room in computed.items())
        self._fresh = np.zeros(most * ROW_BYTES[self._dtype] + SLACK, np.uint8)
        compiler = Compiler(
            self._plan, self._storage, self._weights, self._dtype, self._streams, computed,
            self._fresh, {}, fresh=True,
        )  # fmt: skip
        self._stages = {0: self._stage(compiler, None, 0, computed[0])}
        for number, step in enumerate(self._plan.steps):
            if not step.dense:
                region = computed[step.target]
                self._stages[step.target] = self._stage(compiler, number, step.target, region)

    def _stage(
        self, compiler: Compiler, number: int | None, value: int, region: RunRegion
    ) -> _Stage:
        differences = np.zeros(region.capacity, np.float32)
        if number is None:
            compiler.load_image()
        else:
            compiler.step(number)
        compiler.compare(value, differences)
        compute = Program(compiler.take_calls())
        passed = RunRegion(region.size, self._streams.most)
        chosen = np.zeros(region.capacity, np.int32)
        compiler.take_over(value, passed, chosen)
        take_over = Program(compiler.take_calls())
        return _Stage(value, region, passed, compute, take_over, differences, chosen)
