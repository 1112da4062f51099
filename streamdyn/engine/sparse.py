"""A network that computes chosen blocks of its input and keeps the rest from earlier calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import inf
from threading import Lock
from typing import Any, Literal

import torch
from torch import Tensor

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine import reference
from streamdyn.engine.backend import StreamCache, make_backend
from streamdyn.engine.cpu.rows import ROW_BYTES, RowType
from streamdyn.engine.device.kernels import KernelChoice
from streamdyn.engine.graph import Dense, Graph
from streamdyn.engine.plan import Plan, Step
from streamdyn.engine.planning import make_plan
from streamdyn.engine.report import LayerReport

Request = tuple[Tensor, BlockMask, StreamCache]  # the image (1, 3, H, W), what to compute, a stream


class SparseNetwork:
    """A captured network, ready to run on blocks of inputs of one size.

    Args:
        graph: simplified.
        block: pixels along the side of a block.
        propagation: "copy", 0 for exact, or a tolerance; see `streamdyn.engine.propagation`.
        device: where to compute, and by which `kernels`; see `streamdyn.engine.device`.

    Raises:
        ValueError: the propagation or the dtype is none of these, or the device is not there or
            cannot do it.
    """

    def __init__(
        self,
        graph: Graph,
        block: int,
        dtype: RowType = "float32",
        propagation: Literal["copy"] | float = "copy",
        device: str | torch.device = "cpu",
        kernels: KernelChoice = "auto",
    ) -> None:
        if propagation != "copy" and not _is_tolerance(propagation):
            raise ValueError(
                f'propagation is "copy", 0 (exact) or a tolerance above 0, not {propagation!r}'
            )
        if dtype not in ROW_BYTES:
            raise ValueError(f"dtype is one of {', '.join(ROW_BYTES)}, not {dtype!r}")
        _, _, height, width = graph.shapes[0]
        self.grid = BlockGrid(height, width, block)
        self.plan: Plan = make_plan(graph, self.grid if propagation == "copy" else None)
        self._backend = make_backend(self.plan, self.grid, dtype, propagation, device, kernels)
        self._busy = Lock()  # a backend serves one call at a time

    @property
    def device(self) -> torch.device:
        """Where images are taken and outputs given."""
        return self._backend.device

    @property
    def cache_bytes(self) -> int:
        """Memory of one stream."""
        return self._backend.cache_bytes

    def new_cache(self) -> StreamCache:
        """What the network keeps of one stream. The first makes the kernels ready."""
        with self._busy:
            cache: StreamCache = self._backend.new_cache()
            return cache

    def __call__(self, x: Tensor, mask: BlockMask, cache: StreamCache) -> Any:
        """Compute the masked blocks of `x` (1, 3, H, W); return what the model returns."""
        return self.run_many([(x, mask, cache)])[0]

    def tensors(self, x: Tensor, mask: BlockMask, cache: StreamCache) -> dict[str, Tensor]:
        """Like a call, and return the tensors by name. They belong to the cache."""
        return self.tensors_many([(x, mask, cache)])[0]

    def tensors_many(self, requests: Sequence[Request]) -> list[dict[str, Tensor]]:
        """Like `run_many`, and return the tensors of each by name. They belong to the caches."""
        self._compute(requests)
        names = self.plan.graph.output_names
        return [dict(zip(names, cache.outputs(), strict=True)) for _, _, cache in requests]

    def share(self, mask: BlockMask) -> float:
        """Fraction of the multiply-accumulates that computing `mask` costs, in [0, 1].

        Dense steps cost all of theirs for any mask but the empty one. With a tolerance it is the
        most that it can cost: less, if changes turn out to be small.
        """
        if not mask or not self.macs:
            return float(bool(mask))
        parts = self._backend.parts(mask)
        spent = sum(
            macs * (1.0 if step.dense else parts[step.target]) for step, macs in self._macs.items()
        )
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

    def run_many(self, requests: Sequence[Request]) -> list[Any]:
        """Compute the blocks of several streams together, each with its own cache."""
        self._compute(requests)
        rebuild = self.plan.graph.rebuild
        return [rebuild(tuple(cache.outputs())) for _, _, cache in requests]

    def _compute(self, requests: Sequence[Request]) -> None:
        for x, mask, cache in requests:
            self._check(x, mask, cache)
        if len(requests) > 1 and len({id(c) for _, _, c in requests}) < len(requests):
            raise ValueError(
                "two requests of one call have the same cache; each stream has its own"
            )
        active = [request for request in requests if request[1].density]
        if active:
            with self._busy:
                for _, _, cache in active:
                    cache.filled = False  # until the call has come to its end
                self._backend.run(active)
        for _, _, cache in active:
            cache.filled = True

    def _check(self, x: Tensor, mask: BlockMask, cache: StreamCache) -> None:
        shape = self.plan.graph.shapes[0]
        if not isinstance(mask, BlockMask):
            raise ValueError(f"what to compute is a BlockMask, not {type(mask).__name__}")
        if not self._backend.owns(cache):
            raise ValueError("this cache belongs to another network")
        if mask.grid is not self.grid and _blocks(mask.grid) != _blocks(self.grid):
            raise ValueError(f"a mask of {mask.grid} on a network of {self.grid}")
        if not isinstance(x, Tensor):
            raise ValueError(f"the network takes a tensor of torch, not {type(x).__name__}")
        if x.shape != shape or x.dtype != torch.float32 or x.device != self.device:
            raise ValueError(
                f"the network takes float32 {shape} on {self.device}, got {x.dtype} "
                f"{tuple(x.shape)} on {x.device}"
            )
        if not cache.filled and mask.density < 1:
            raise ValueError(
                "a new cache, or one whose last call failed, holds nothing to reuse; "
                "compute all blocks first"
            )


def _blocks(grid: BlockGrid) -> tuple[int, int, int]:
    """What two grids have in common if their masks mean the same, whatever the picture."""
    return grid.height, grid.width, grid.block


def _is_tolerance(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 <= float(value) < inf  # type: ignore[arg-type]  # narrowed through a name


def _operation(step: Step) -> str:
    """An operation and what is fused into it, for people."""
    op = step.node.op
    parts = [op.what if isinstance(op, Dense) else type(op).__name__]
    if step.residual is not None:
        parts.append("add")
    if step.activation is not None:
        parts.append(step.activation.kind)
    return " + ".join(parts)
