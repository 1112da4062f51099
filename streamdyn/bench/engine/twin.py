"""What copy propagation promises, computed in the plainest way: whole, and by torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from streamdyn.blocks import BlockMask
from streamdyn.engine import reference
from streamdyn.engine.graph import Constant, Dense, Graph, Node
from streamdyn.engine.plan import is_map
from streamdyn.engine.regions import Pixels


class Twin:
    """A stream of which every map is computed whole, and only the masked pixels are taken over.

    Args:
        graph: as a plan has it, lowered.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._values: dict[int, Tensor] = {}

    def __call__(self, x: Tensor, mask: BlockMask) -> list[Tensor]:
        """Compute an image (1, 3, H, W); return the outputs. The first mask is a whole one."""
        graph, values = self._graph, self._values
        self._take_over(0, x, mask)
        with torch.inference_mode():
            for node in graph.nodes:
                inputs = [values[value] for value in node.inputs]
                given = reference.apply(node.op, inputs, graph.shapes[node.outputs[0]], x)
                self._keep(node, given if isinstance(given, tuple) else (given,), mask)
            pairs = zip(graph.views, graph.outputs, strict=True)
            return [view(values[value]) for view, value in pairs]

    def _keep(self, node: Node, outputs: tuple[Tensor, ...], mask: BlockMask) -> None:
        mask = mask.grid.all() if isinstance(node.op, Dense | Constant) else mask
        for value, tensor in zip(node.outputs, outputs, strict=True):
            self._take_over(value, tensor, mask)

    def _take_over(self, value: int, tensor: Tensor, mask: BlockMask) -> None:
        before = self._values.get(value)
        if before is not None and is_map(tuple(tensor.shape)):
            height, width = tensor.shape[2:]
            chosen = np.zeros(height * width, bool)
            chosen[Pixels(mask.grid, height, width).of(mask).numbers(width)] = True
            tensor = torch.where(torch.from_numpy(chosen).view(height, width), tensor, before)
        self._values[value] = tensor
