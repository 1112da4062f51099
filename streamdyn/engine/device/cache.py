"""What a network on a device keeps of one stream."""

from __future__ import annotations

import weakref
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from streamdyn.engine import reference
from streamdyn.engine.device.arena import Arena
from streamdyn.engine.graph import Op
from streamdyn.engine.plan import Plan, Step

AnyOp = TypeVar("AnyOp", bound=Op)


class DeviceCache:
    """A slot of the arena, which goes back when the cache is forgotten, and loose tensors."""

    def __init__(self, plan: Plan, arena: Arena) -> None:
        self.arena, self.slot = arena, arena.take()
        weakref.finalize(self, arena.give_back, self.slot)
        self.tensors: dict[int, Tensor] = {}  # values that are not in the arena
        self.filled = False  # whether every block was computed once
        self._plan = plan
        for value, constant in plan.constants.items():
            self.keep(value, torch.from_numpy(constant.value))

    def outputs(self) -> list[Tensor]:
        """The tensors that the model returns, on the device. They may be views of the cache."""
        graph = self._plan.graph
        pairs = zip(graph.views, graph.outputs, strict=True)
        return [view(self.tensor(value)) for view, value in pairs]

    def tensor(self, value: int) -> Tensor:
        """A value as a whole tensor; numbers that are not integers are float32."""
        if value in self.arena.maps:
            return self.arena.whole(value, self.slot).float()
        return self.tensors[value]

    def keep(self, value: int, tensor: Tensor) -> None:
        """Take over a whole value."""
        if value in self.arena.maps:
            self.arena.whole(value, self.slot).copy_(tensor)
        else:
            self.tensors[value] = tensor

    def run_dense(self, step: Step, op: Op, like: Tensor) -> None:
        """Compute a step on whole values.

        Args:
            op: that of the step, `resident` on the device.
            like: a tensor of the device and the dtype to compute in.
        """
        shape = self._plan.graph.shapes[step.node.outputs[0]]
        inputs = [self.tensor(value) for value in step.node.inputs]
        for value, tensor in reference.compute(step, op, inputs, shape, like).items():
            self.keep(value, tensor)


def resident(op: AnyOp, like: Tensor) -> AnyOp:
    """An operation with its numbers on the device of `like`, so that no call has to send them.

    `reference.apply` takes tensors where the graph has arrays.
    """
    moved: dict[str, Any] = {}
    for each in fields(op):
        numbers = getattr(op, each.name)
        if isinstance(numbers, np.ndarray):
            dtype = like.dtype if numbers.dtype.kind == "f" else torch.int64
            moved[each.name] = torch.from_numpy(numbers).to(like.device, dtype)
    return replace(op, **moved)
