"""Networks on blocks, in the shape in which models use them: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.engine.backend import StreamCache
from streamdyn.engine.cpu.crew import set_threads
from streamdyn.engine.cpu.rows import RowType
from streamdyn.engine.graph import Graph
from streamdyn.engine.report import LayerReport
from streamdyn.engine.sparse import SparseNetwork
from streamdyn.errors import ModelError


class BlockNetwork:
    """A captured network. See `Network`.

    Args:
        block: pixels along the side of a block.
        outputs: the names of the outputs to return, in order; None: all of them.
        threads: of the whole process; None: leave them as they are.
        device: where to compute, as torch calls it.

    Raises:
        ModelError: the network has no such output.
        ValueError: the device is not there, or cannot compute in this dtype.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        block: int,
        parameters: int,
        dtype: RowType = "float32",
        propagation: Literal["copy"] | float = "copy",
        outputs: tuple[str, ...] | None = None,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        if threads:
            set_threads(threads)
        self._network = SparseNetwork(graph, block, dtype, propagation, device)
        self.parameters = parameters
        self._names = outputs or graph.output_names
        if unknown := set(self._names) - set(graph.output_names):
            raise ModelError(
                f"the network has no output {sorted(unknown)[0]!r}; "
                f"it has {', '.join(graph.output_names)}"
            )

    @cached_property
    def outputs(self) -> Mapping[str, tuple[int, ...]]:
        """Name and shape of each tensor that a call returns, in order."""
        graph = self._network.plan.graph
        shapes = {
            name: tuple(view(torch.empty(graph.shapes[value], device="meta")).shape)
            for name, view, value in zip(
                graph.output_names, graph.views, graph.outputs, strict=True
            )
        }
        return {name: shapes[name] for name in self._names}

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one input computed whole."""
        return self._network.macs

    def new_cache(self) -> StreamCache:
        """What the network keeps of one stream."""
        return self._network.new_cache()

    def __call__(
        self, x: NDArray[np.float32], mask: BlockMask, cache: StreamCache
    ) -> tuple[NDArray[np.float32], ...]:
        """Compute the masked blocks of `x` (1, 3, H, W); an empty mask gives the last outputs."""
        return self.run_many([(x, mask, cache)])[0]

    def run_many(
        self, requests: Sequence[tuple[NDArray[np.float32], BlockMask, StreamCache]]
    ) -> list[tuple[NDArray[np.float32], ...]]:
        """Compute the blocks of several streams together, each with its own cache."""
        device = self._network.device
        found = self._network.tensors_many(
            [(torch.from_numpy(x).to(device), mask, cache) for x, mask, cache in requests]
        )
        return [tuple(outputs[name].cpu().numpy() for name in self._names) for outputs in found]

    def share(self, mask: BlockMask) -> float:
        """Fraction of `macs` that computing `mask` costs, in [0, 1]."""
        return self._network.share(mask)

    def report(self) -> list[LayerReport]:
        """What each layer costs, and whether it runs on blocks."""
        return self._network.report()
