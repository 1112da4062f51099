"""A network as steps: what runs on blocks, what runs dense and why, and where each map lies.

A step is one call of a kernel: an operation with the activation and the residual addition that
follow it. A map is *kept* in the cache of its stream if a step reads it beyond the pixels being
computed (a halo, a resize, a dense step), or if the network returns it; all other maps are
*packed*: they hold the pixels being computed, one after another, and are gone after the call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from streamdyn.engine.graph import Activation, Constant, GlobalPool, Graph, Node, Sides


class Place(Enum):
    """Where the numbers of a value are."""

    KEPT = "kept"  # a whole map in the cache of the stream, with a border of zeros
    PACKED = "packed"  # the pixels being computed, for the time of a call
    TENSOR = "tensor"  # a torch tensor in the cache of the stream: no map, or between dense steps


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One operation, with what is fused into it."""

    node: Node
    target: int  # the value it makes, after the fused operations
    residual: int | None = None  # a value that is added to the product
    activation: Activation | None = None
    dense: str = ""  # why it runs on whole maps; empty if it runs on blocks

    @property
    def reads(self) -> tuple[int, ...]:
        """All values that the step needs."""
        extra = () if self.residual is None else (self.residual,)
        return self.node.inputs + extra


@dataclass(slots=True)
class Plan:
    """The steps of a network, in order, and the place of each value."""

    graph: Graph
    steps: list[Step]
    constants: dict[int, Constant] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    borders: dict[int, Sides] = field(default_factory=dict)  # of the kept maps, in pixels

    def pooled(self, value: int) -> bool:
        """Whether a map's mean over all pixels is kept up to date while it is computed."""
        return any(
            isinstance(step.node.op, GlobalPool) and not step.dense and value in step.node.inputs
            for step in self.steps
        )

    def never_negative(self, value: int) -> bool:
        """Whether a map is cut off at 0, so that the zeros of its border win no maximum."""
        return any(
            step.target == value and step.activation is not None
            and step.activation.kind == "clip" and step.activation.low >= 0
            for step in self.steps
        )  # fmt: skip


def is_map(shape: tuple[int, ...]) -> bool:
    """Whether a value has pixels, be it one: (1, C, H, W)."""
    return len(shape) == 4 and shape[0] == 1


def one_pixel(shape: tuple[int, ...]) -> bool:
    """Whether a map has but one pixel: a number for each channel."""
    return is_map(shape) and shape[2] * shape[3] == 1
