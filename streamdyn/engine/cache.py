"""What a network keeps of one stream."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamdyn.engine import reference
from streamdyn.engine.plan import Plan, Step, is_map
from streamdyn.engine.storage import Storage

IMAGE, MEMORY = "image", "memory"  # parts of a stream; see `parts_of_stream`


class Cache:
    """The kept maps, sums and tensors of one stream, and the dense steps that work on them."""

    def __init__(self, plan: Plan, storage: Storage) -> None:
        shapes = plan.graph.shapes
        self.storage = storage
        self.memory = torch.zeros(storage.cache_bytes, dtype=torch.uint8)
        self.sums = {
            value: torch.zeros(shapes[value][1], dtype=torch.float64) for value in _summed(plan)
        }
        self.tensors: dict[int, Tensor] = {}  # values that are no kept maps
        self.maps = {value: torch.zeros(shapes[value]) for value in _returned(plan)}
        self.filled = False  # whether every block was computed once
        self._plan = plan
        own = self.memory, *self.sums.values(), *self.maps.values()
        self._addresses = np.array([0, *(part.data_ptr() for part in own)])
        self._outputs: list[Tensor] | None = None
        for value, constant in plan.constants.items():
            self.keep(value, torch.from_numpy(constant.value))

    def addresses(self, image: Tensor) -> NDArray[np.int64]:
        """Where the image of a call, and the other `parts_of_stream`, lie."""
        self._addresses[0] = image.data_ptr()
        return self._addresses

    def outputs(self) -> list[Tensor]:
        """The tensors that the model returns. They are views of the cache."""
        if self._outputs is not None:
            return self._outputs
        graph = self._plan.graph
        found = (
            self.maps[value] if value in self.maps else self.tensor(value)
            for value in graph.outputs
        )
        views = [view(tensor) for view, tensor in zip(graph.views, found, strict=True)]
        if self.maps.keys() >= set(graph.outputs):  # which stay where they are
            self._outputs = views
        return views

    def tensor(self, value: int) -> Tensor:
        """A value as a whole tensor of float32."""
        kept = self.storage.kept.get(value)
        if kept is None:
            return self.tensors[value]
        return kept.view(self.memory).float()

    def keep(self, value: int, tensor: Tensor) -> None:
        """Take over a whole value, wherever its readers look for it."""
        kept = self.storage.kept.get(value)
        if kept is not None:
            kept.view(self.memory).copy_(tensor)
        else:
            self.tensors[value] = tensor
        if value in self.maps:
            self.maps[value].copy_(tensor)

    def run_dense(self, step: Step) -> None:
        """Compute a step on whole values."""
        shape = self._plan.graph.shapes[step.node.outputs[0]]
        inputs = [self.tensor(value) for value in step.node.inputs]
        made = reference.compute(step, step.node.op, inputs, shape, torch.zeros(()))
        for value, tensor in made.items():
            self.keep(value, tensor)

    def clear_sums(self) -> None:
        """Begin the sums over maps anew, so that a key frame heals what is not a number."""
        # By NumPy: after work in parallel, torch's threads stay awake for milliseconds, and in the
        # way of the kernels'.
        for value, sums in self.sums.items():
            sums.numpy().fill(0)
            kept = self.storage.kept[value]
            self.memory.numpy()[kept.offset : kept.offset + kept.nbytes] = 0


def parts_of_stream(plan: Plan) -> tuple[str, ...]:
    """The names of what kernels read and write of a stream."""
    sums, outputs = map(sums_of, _summed(plan)), map(output_of, _returned(plan))
    return (IMAGE, MEMORY, *sums, *outputs)


def sums_of(value: int) -> str:
    """The sums of a map over its pixels."""
    return f"sums of {value}"


def output_of(value: int) -> str:
    """The planes in which a map is returned."""
    return f"output {value}"


def _summed(plan: Plan) -> list[int]:
    """The maps whose sums are kept up to date."""
    return [value for value in range(len(plan.graph.shapes)) if plan.pooled(value)]


def _returned(plan: Plan) -> list[int]:
    """The maps that are kept as planes of float32, for the caller."""
    outputs = dict.fromkeys(plan.graph.outputs)  # each once
    return [value for value in outputs if is_map(plan.graph.shapes[value])]
