"""A network that computes chosen blocks of its input and keeps the rest from earlier calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine import reference
from streamdyn.engine.compile import CACHE, Compiler, Weights
from streamdyn.engine.cpu.crew import Program
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.graph import Dense, GlobalPool, Graph
from streamdyn.engine.plan import Plan, Step, is_map, make_plan
from streamdyn.engine.regions import Pixels, Region
from streamdyn.engine.report import LayerReport
from streamdyn.engine.storage import Storage, packed_offsets


class Cache:
    """What a network keeps of one stream."""

    def __init__(self, network: SparseNetwork) -> None:
        plan, storage = network.plan, network.storage
        self.network = network
        self.memory = torch.zeros(storage.cache_bytes, dtype=torch.uint8)
        self.sums = {
            value: torch.zeros(plan.graph.shapes[value][1], dtype=torch.float64)
            for value in range(len(plan.graph.shapes))
            if plan.pooled(value)
        }
        self.tensors: dict[int, Tensor] = {}  # values that are no kept maps
        self.outputs = {
            value: torch.zeros(plan.graph.shapes[value])
            for value in plan.graph.outputs
            if is_map(plan.graph.shapes[value])
        }
        self.filled = False  # whether every block was computed once

    def clear_sums(self) -> None:
        """Begin the sums over maps anew, so that a key frame heals what is not a number."""
        for value, sums in self.sums.items():
            sums.zero_()
            self.network.storage.kept[value].view(self.memory).zero_()

    def addresses(self, image: Tensor) -> dict[str, int]:
        """Where the parts of the cache, and the image of a call, lie."""
        found = {CACHE: self.memory.data_ptr(), "image": image.data_ptr()}
        found |= {f"sums {value}": sums.data_ptr() for value, sums in self.sums.items()}
        found |= {f"output {value}": tensor.data_ptr() for value, tensor in self.outputs.items()}
        return found


@dataclass(slots=True)
class _Compiled:
    """The programs for calls of up to so many streams."""

    streams: int
    regions: dict[tuple[int, int], Region]
    parts: list[Program | int]  # programs, and the numbers of the dense steps between them
    scratch: np.ndarray[Any, np.dtype[np.uint8]]  # which the programs' addresses point into


class SparseNetwork:
    """A captured network, ready to run on blocks of inputs of one size.

    Copy propagation: a block is computed from its own pixels as they are now, and from a border of
    neighbouring pixels as they were when last computed; the region is not grown.
    """

    def __init__(self, graph: Graph, block: int, dtype: RowType) -> None:
        _, _, height, width = graph.shapes[0]
        self.grid = BlockGrid(height, width, block)
        self.plan: Plan = make_plan(graph)
        self.storage = Storage(self.plan, dtype)
        self._dtype = dtype
        self._weights = Weights(self.plan, dtype)
        sizes = {shape[2:] for shape in graph.shapes if is_map(shape)}
        self._pixels = {(h, w): Pixels(self.grid, h, w) for h, w in sizes}
        self._compiled: _Compiled | None = None
        self._busy = Lock()  # the compiled programs serve one call at a time

    @property
    def cache_bytes(self) -> int:
        """Memory of one stream."""
        outputs = sum(
            4 * int(np.prod(self.plan.graph.shapes[value])) for value in self.plan.graph.outputs
        )
        return self.storage.cache_bytes + outputs

    def new_cache(self) -> Cache:
        """What the network keeps of one stream."""
        return Cache(self)

    def __call__(self, x: Tensor, mask: BlockMask, cache: Cache) -> Any:
        """Compute the masked blocks of `x` (1, 3, H, W); return what the model returns."""
        return self.run_many([(x, mask, cache)])[0]

    def tensors(self, x: Tensor, mask: BlockMask, cache: Cache) -> dict[str, Tensor]:
        """Like a call, and return the tensors by name. They belong to the cache."""
        self._compute([(x, mask, cache)])
        return dict(zip(self.plan.graph.output_names, self._outputs(cache), strict=True))

    def share(self, mask: BlockMask) -> float:
        """Fraction of the multiply-accumulates that computing `mask` costs, in [0, 1].

        Dense steps cost all of theirs for any mask but the empty one.
        """
        if not mask or not self.macs:
            return float(bool(mask))
        shapes = self.plan.graph.shapes
        parts = {size: pixels.part(mask) for size, pixels in self._pixels.items()}
        spent = 0.0
        for step, macs in self._macs.items():
            shape = shapes[step.node.outputs[0]]
            spent += macs * (1.0 if step.dense else parts[shape[2], shape[3]])
        return spent / self.macs

    @cached_property
    def _macs(self) -> dict[Step, int]:
        graph = self.plan.graph
        return {
            step: macs for step in self.plan.steps if (macs := reference.macs(step.node, graph))
        }

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one input computed whole."""
        return sum(self._macs.values())

    def report(self) -> list[LayerReport]:
        """What each step is, what it costs, and whether it runs on blocks."""
        return [
            LayerReport(
                layer=step.node.name,
                operation=_operation(step),
                shape=self.plan.graph.shapes[step.target],
                macs=self._macs.get(step, 0),
                dense=step.dense,
            )
            for step in self.plan.steps
        ]

    def run_many(self, requests: Sequence[tuple[Tensor, BlockMask, Cache]]) -> list[Any]:
        """Compute the blocks of several streams together, each with its own cache."""
        self._compute(requests)
        rebuild = self.plan.graph.rebuild
        return [rebuild(tuple(self._outputs(cache))) for _, _, cache in requests]

    def _compute(self, requests: Sequence[tuple[Tensor, BlockMask, Cache]]) -> None:
        for x, mask, cache in requests:
            self._check(x, mask, cache)
        active = [(x.contiguous(), mask, cache) for x, mask, cache in requests if mask]
        if active:
            with self._busy:
                self._run(active)

    def _check(self, x: Tensor, mask: BlockMask, cache: Cache) -> None:
        shape = self.plan.graph.shapes[0]
        if cache.network is not self:
            raise ValueError("this cache belongs to another network")
        if (mask.grid.height, mask.grid.width, mask.grid.block) != (
            self.grid.height,
            self.grid.width,
            self.grid.block,
        ):
            raise ValueError(f"a mask of {mask.grid} on a network of {self.grid}")
        if tuple(x.shape) != shape or x.dtype != torch.float32 or x.device.type != "cpu":
            raise ValueError(
                f"the network takes float32 {shape} on the CPU, got {x.dtype} {tuple(x.shape)} "
                f"on {x.device}"
            )
        if not cache.filled and mask.density < 1:
            raise ValueError("a new cache holds nothing to reuse; compute all blocks first")

    def _run(self, requests: Sequence[tuple[Tensor, BlockMask, Cache]]) -> None:
        compiled = self._compile(len(requests))
        masks = [mask for _, mask, _ in requests]
        caches = [cache for _, _, cache in requests]
        for mask, cache in zip(masks, caches, strict=True):
            if mask.density == 1:
                cache.clear_sums()
        addresses = [cache.addresses(x) for x, _, cache in requests]
        for region in compiled.regions.values():
            region.fill(masks, addresses)
        for part in compiled.parts:
            if isinstance(part, Program):
                part.run()
            else:
                for cache in caches:
                    self._run_dense(self.plan.steps[part], cache)
        for cache in caches:
            cache.filled = True

    def _run_dense(self, step: Step, cache: Cache) -> None:
        """Compute a step on whole values."""
        graph = self.plan.graph
        shape = graph.shapes[step.node.outputs[0]]
        if isinstance(step.node.op, GlobalPool) and not step.dense:
            _, _, height, width = graph.shapes[step.node.inputs[0]]
            mean = cache.sums[step.node.inputs[0]] / (height * width)
            given: Any = mean.float().view(shape)
        else:
            inputs = [self._tensor(value, cache) for value in step.node.inputs]
            given = reference.apply(step.node.op, inputs, shape, torch.zeros(()))
        if step.activation is not None:
            given = reference.apply(step.activation, [given], shape)
        outputs = given if isinstance(given, tuple) else (given,)
        values = step.node.outputs if len(outputs) > 1 else (step.target,)
        for value, tensor in zip(values, outputs, strict=True):
            self._keep(value, tensor, cache)

    def _tensor(self, value: int, cache: Cache) -> Tensor:
        kept = self.storage.kept.get(value)
        if kept is None:
            return cache.tensors[value]
        whole = kept.view(cache.memory).float()
        return whole[:, :3] if value == 0 else whole

    def _keep(self, value: int, tensor: Tensor, cache: Cache) -> None:
        kept = self.storage.kept.get(value)
        if kept is not None:
            kept.view(cache.memory).copy_(tensor)
        else:
            cache.tensors[value] = tensor
        if value in cache.outputs:
            cache.outputs[value].copy_(tensor)
        if value in self.storage.vectors:
            kind = torch.bfloat16 if self._dtype == "bfloat16" else torch.float32
            row = tensor.flatten().to(kind).view(torch.uint8)
            offset = self.storage.vectors[value]
            cache.memory[offset : offset + len(row)] = row

    def _outputs(self, cache: Cache) -> list[Tensor]:
        graph = self.plan.graph
        found = (
            cache.outputs[value] if value in cache.outputs else self._tensor(value, cache)
            for value in graph.outputs
        )
        return [view(tensor) for view, tensor in zip(graph.views, found, strict=True)]

    def _compile(self, streams: int) -> _Compiled:
        """The programs for this number of streams, or some more."""
        if self._compiled is None or self._compiled.streams < streams:
            self._compiled = self._compile_for(1 << (streams - 1).bit_length())
        return self._compiled

    def _compile_for(self, streams: int) -> _Compiled:
        by_size = {
            size: Region(pixels, size[0] * size[1] * streams)
            for size, pixels in self._pixels.items()
        }
        regions = {
            value: by_size[shape[2], shape[3]]
            for value, shape in enumerate(self.plan.graph.shapes)
            if is_map(shape)
        }
        capacity = {value: region.capacity for value, region in regions.items()}
        packed, size_of_scratch = packed_offsets(self.plan, self._dtype, capacity)
        scratch = np.zeros(size_of_scratch, np.uint8)
        compiler = Compiler(
            self.plan, self.storage, self._weights, self._dtype, regions, scratch, packed
        )
        return _Compiled(streams, by_size, self._parts(compiler), scratch)

    def _parts(self, compiler: Compiler) -> list[Program | int]:
        """Programs of as many steps as possible, with the dense steps between them."""
        parts: list[Program | int] = []
        compiler.load_image()
        for number, step in enumerate(self.plan.steps):
            if step.dense or isinstance(step.node.op, GlobalPool):
                if compiler.calls:
                    parts.append(Program(compiler.calls))
                    compiler.calls.clear()
                parts.append(number)
            else:
                compiler.step(number)
                if step.target in self.plan.graph.outputs:
                    compiler.store_output(step.target)
        if compiler.calls:
            parts.append(Program(compiler.calls))
        return parts


def _operation(step: Step) -> str:
    """An operation and what is fused into it, for people."""
    op = step.node.op
    parts = [op.what if isinstance(op, Dense) else type(op).__name__]
    if step.residual is not None:
        parts.append("add")
    if step.activation is not None:
        parts.append(step.activation.kind)
    return " + ".join(parts)
