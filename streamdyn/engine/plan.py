"""From a graph to steps: what runs on blocks, what runs dense and why, and where each map lies.

A step is one call of a kernel: an operation with the activation and the residual addition that
follow it. A map is *kept* in the cache of its stream if a step reads it beyond the pixels being
computed (a halo, a resize, a dense step), or if the network returns it; all other maps are
*packed*: they hold the pixels being computed, one after another, and are gone after the call.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Channels,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    GlobalPool,
    Graph,
    LayerNorm,
    Node,
    Pad,
    Sides,
    Softmax,
)

DENSE = (Dense, ConvTranspose, Pad, Constant)  # what has no kernel for chosen pixels
POINTWISE = (Affine, Activation, Binary, Concat, Channels, LayerNorm, Softmax)


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

    def combined_vectors(self) -> list[int]:
        """The values without pixels that maps are combined with, channel by channel."""
        return sorted({
            step.node.inputs[1]
            for step in self.steps
            if isinstance(step.node.op, Binary) and not step.dense
            and not is_map(self.graph.shapes[step.node.inputs[1]])
        })  # fmt: skip


def make_plan(graph: Graph, *, keep_all: bool = False) -> Plan:
    """Plan a simplified graph.

    Args:
        keep_all: whether every map is kept: for propagation that computes different pixels of
            different maps.
    """
    constants = {n.outputs[0]: n.op for n in graph.nodes if isinstance(n.op, Constant)}
    steps = [_place_dense(step, graph) for step in _fuse(graph)]
    plan = Plan(graph, steps, constants)
    _place_values(plan, keep_all)
    return plan


def is_map(shape: tuple[int, ...]) -> bool:
    """Whether a value has pixels: (1, C, H, W) with more than one of them."""
    return len(shape) == 4 and shape[0] == 1 and shape[2] * shape[3] > 1


def _fuse(graph: Graph) -> list[Step]:
    """One step per node, but additions and activations that directly follow join their product."""
    readers = Counter(value for node in graph.nodes for value in node.inputs)
    readers.update(graph.outputs)
    reader_of = {value: node for node in graph.nodes for value in node.inputs}
    made = {0, *(n.outputs[0] for n in graph.nodes if isinstance(n.op, Constant))}
    steps: list[Step] = []
    fused: set[int] = set()  # ids of nodes that joined another
    for node in graph.nodes:
        if id(node) in fused or isinstance(node.op, Constant):
            continue
        step = Step(node, node.outputs[0])
        while (follower := _follower(step, graph, readers, reader_of)) is not None:
            joined = _join(step, follower, made)
            if joined is None:
                break
            fused.add(id(follower))
            step = joined
        made.add(step.target)
        made.update(node.outputs)
        steps.append(step)
    return steps


def _follower(
    step: Step, graph: Graph, readers: Counter[int], reader_of: dict[int, Node]
) -> Node | None:
    """The only reader of what a step makes."""
    if isinstance(step.node.op, Dense) or readers[step.target] != 1:
        return None
    return reader_of.get(step.target)


def _join(step: Step, follower: Node, made: set[int]) -> Step | None:
    """The step with its follower fused, None if kernels cannot do both at once."""
    if step.activation is not None:
        return None
    match follower.op:
        case Activation() as activation if isinstance(step.node.op, (Conv, Binary, Affine)):
            return Step(step.node, follower.outputs[0], step.residual, activation)
        case Binary("add") if isinstance(step.node.op, Conv) and step.residual is None:
            first, second = follower.inputs
            other = second if first == step.target else first
            if other in made and other != step.target:
                return Step(step.node, follower.outputs[0], residual=other)
    return None


def _place_dense(step: Step, graph: Graph) -> Step:
    """Say why a step cannot run on blocks, if it cannot."""
    op = step.node.op
    shapes = [graph.shapes[value] for value in step.node.inputs]
    match op:
        case Dense():
            why = f"{op.what} needs the whole map"
        case Pad():
            why = "padding that no convolution takes over"
        case ConvTranspose():
            why = "a transposed convolution has no kernel for blocks yet"
        case GlobalPool():
            why = _why_not_pooled(step, graph)
        case _ if not is_map(graph.shapes[step.target]):
            why = "its output is a single pixel"
        case Binary() if is_map(shapes[0]):
            why = ""
        case _ if not all(map(is_map, shapes)):
            why = "an input is a single pixel"
        case _:
            why = ""
    return Step(step.node, step.target, step.residual, step.activation, why)


def _why_not_pooled(step: Step, graph: Graph) -> str:
    """Why a mean over a map cannot follow its blocks."""
    value = step.node.inputs[0]
    if not is_map(graph.shapes[value]):
        return "its input is a single pixel"
    maker = next((node for node in graph.nodes if value in node.outputs), None)
    return "its input is computed dense" if maker is None or isinstance(maker.op, DENSE) else ""


def _place_values(plan: Plan, keep_all: bool) -> None:
    graph = plan.graph
    for value, shape in enumerate(graph.shapes):
        usual = Place.KEPT if keep_all else Place.PACKED
        plan.places[value] = usual if is_map(shape) else Place.TENSOR
    for value in (0, *plan.constants):
        if is_map(graph.shapes[value]):
            plan.places[value] = Place.KEPT
    for step in plan.steps:
        for value in step.reads:
            if is_map(graph.shapes[value]) and _reads_beyond(step, value, graph):
                plan.places[value] = Place.KEPT
                plan.borders[value] = _widest(
                    plan.borders.get(value, (0, 0, 0, 0)), _border(step, value, graph)
                )
        if step.dense:
            for value in step.node.outputs:
                if is_map(graph.shapes[value]):
                    plan.places[value] = Place.KEPT


def _reads_beyond(step: Step, value: int, graph: Graph) -> bool:
    """Whether a step reads other pixels of a map than those that it computes."""
    if step.dense or isinstance(step.node.op, GlobalPool):
        return True
    if value == step.residual or isinstance(step.node.op, POINTWISE):
        return False
    op = step.node.op
    if not isinstance(op, Conv):
        return True
    return op.weight.shape[2:] != (1, 1) or op.stride != (1, 1) or any(op.padding)


def _border(step: Step, value: int, graph: Graph) -> Sides:
    """How far beyond a map a step reads."""
    op = step.node.op
    if step.dense or not isinstance(op, Conv):
        return (0, 0, 0, 0)
    sides = []
    for axis in (0, 1):
        before = op.padding[axis]
        last = (graph.shapes[step.node.outputs[0]][2 + axis] - 1) * op.stride[axis] - before
        reach = last + (op.weight.shape[2 + axis] - 1) * op.dilation[axis]
        sides.append((before, max(reach - graph.shapes[value][2 + axis] + 1, 0)))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


def _widest(a: Sides, b: Sides) -> Sides:
    top, left, bottom, right = (max(pair) for pair in zip(a, b, strict=True))
    return top, left, bottom, right
