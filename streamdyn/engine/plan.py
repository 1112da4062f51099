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

from streamdyn.blocks import BlockGrid
from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Channels,
    Concat,
    Constant,
    Conv,
    Dense,
    GlobalPool,
    Graph,
    LayerNorm,
    Node,
    Pad,
    Pool,
    Resize,
    Sides,
    Softmax,
)
from streamdyn.engine.lower import lower
from streamdyn.engine.regions import tile
from streamdyn.engine.resampling import repeats

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

    def never_negative(self, value: int) -> bool:
        """Whether a map is cut off at 0, so that the zeros of its border win no maximum."""
        return any(
            step.target == value and step.activation is not None
            and step.activation.kind == "clip" and step.activation.low >= 0
            for step in self.steps
        )  # fmt: skip


def make_plan(graph: Graph, grid: BlockGrid | None) -> Plan:
    """Plan a simplified graph.

    Args:
        grid: the blocks by which every map is computed; None: each map has pixels of its own that
            are computed, and all are kept.
    """
    graph = lower(graph)
    constants = {n.outputs[0]: n.op for n in graph.nodes if isinstance(n.op, Constant)}
    plan = Plan(graph, _place_dense(_fuse(graph), graph), constants)
    _place_values(plan, grid)
    return plan


def is_map(shape: tuple[int, ...]) -> bool:
    """Whether a value has pixels, be it one: (1, C, H, W)."""
    return len(shape) == 4 and shape[0] == 1


def one_pixel(shape: tuple[int, ...]) -> bool:
    """Whether a map has but one pixel: a number for each channel."""
    return is_map(shape) and shape[2] * shape[3] == 1


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
            joined = _join(step, follower, made, graph)
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


def _join(step: Step, follower: Node, made: set[int], graph: Graph) -> Step | None:
    """The step with its follower fused, None if kernels cannot do both at once."""
    if step.activation is not None:
        return None
    match follower.op:
        case Activation() as activation if isinstance(step.node.op, (Conv, Binary, Affine)):
            return Step(step.node, follower.outputs[0], step.residual, activation)
        case Binary("add") if isinstance(step.node.op, Conv) and step.residual is None:
            first, second = follower.inputs
            other = second if first == step.target else first
            alike = graph.shapes[other] == graph.shapes[step.target]  # nothing is broadcast
            if other in made and other != step.target and alike:
                return Step(step.node, follower.outputs[0], residual=other)
    return None


def _place_dense(steps: list[Step], graph: Graph) -> list[Step]:
    """Say of the steps that cannot run on blocks why."""
    placed: list[Step] = []
    by_blocks: set[int] = set()  # the values that steps make
    for step in steps:
        why = _why_dense(step, graph, by_blocks)
        placed.append(Step(step.node, step.target, step.residual, step.activation, why))
        if not why:
            by_blocks.add(step.target)
    return placed


def _why_dense(step: Step, graph: Graph, by_blocks: set[int]) -> str:
    shapes = [graph.shapes[value] for value in step.node.inputs]
    match step.node.op:
        case Dense() as op:
            return f"{op.what} needs the whole map"
        case Pad(value=value) if value:
            return f"padding by {value} is not computed by blocks"
        case GlobalPool() if step.node.inputs[0] not in by_blocks:
            return "its input is not computed by blocks"
        case Binary() if shapes[0] != graph.shapes[step.target]:
            return "its first input is smaller than its output"
        case _:
            return ""


def _place_values(plan: Plan, grid: BlockGrid | None) -> None:
    graph = plan.graph
    for value, shape in enumerate(graph.shapes):
        keep = grid is None or one_pixel(shape)
        usual = Place.KEPT if keep else Place.PACKED
        plan.places[value] = usual if is_map(shape) else Place.TENSOR
    for value in (0, *plan.constants):
        if is_map(graph.shapes[value]):
            plan.places[value] = Place.KEPT
    for step in plan.steps:
        for value in step.reads:
            if is_map(graph.shapes[value]) and _reads_beyond(step, value, graph, grid):
                plan.places[value] = Place.KEPT
                plan.borders[value] = _widest(
                    plan.borders.get(value, (0, 0, 0, 0)), _border(step, value, graph)
                )
        if step.dense:
            for value in step.node.outputs:
                if is_map(graph.shapes[value]):
                    plan.places[value] = Place.KEPT


def _reads_beyond(step: Step, value: int, graph: Graph, grid: BlockGrid | None) -> bool:
    """Whether a step reads pixels of a map that need not be computed when its own are."""
    if step.dense or isinstance(step.node.op, GlobalPool):
        return True
    if value not in step.node.inputs or isinstance(step.node.op, POINTWISE):
        return False  # a residual is read pixel by pixel, unless it is an input as well
    sizes = [graph.shapes[each][2:] for each in (value, step.node.outputs[0])]
    match step.node.op:
        case Conv(weight=weight, padding=padding, stride=(1, 1)) if weight.shape[2:] == (1, 1):
            return any(padding)
        case Conv() | Pool() as op if grid and not any(op.padding):
            kernel = op.kernel if isinstance(op, Pool) else op.weight.shape[2:]
            inside, outside = (tile(grid, *size) for size in sizes)
            # A window that is no wider than its step stays on the block of its pixel.
            return not inside or not outside or any(
                inside[axis] != outside[axis] * op.stride[axis]
                or (kernel[axis] - 1) * op.dilation[axis] >= op.stride[axis]
                for axis in (0, 1)
            )  # fmt: skip
        case Resize(mode="nearest") if grid:
            tiles = [tile(grid, *size) for size in sizes]
            return not all(tiles) or not all(map(repeats, *sizes))
        case _:
            return True


def _border(step: Step, value: int, graph: Graph) -> Sides:
    """How far beyond a map a step reads."""
    op = step.node.op
    if isinstance(op, Pad) and not step.dense:
        return op.padding
    if step.dense or not isinstance(op, (Conv, Pool)):
        return (0, 0, 0, 0)
    kernel = op.kernel if isinstance(op, Pool) else op.weight.shape[2:]
    sides = []
    for axis in (0, 1):
        before = op.padding[axis]
        last = (graph.shapes[step.node.outputs[0]][2 + axis] - 1) * op.stride[axis] - before
        reach = last + (kernel[axis] - 1) * op.dilation[axis]
        sides.append((before, max(reach - graph.shapes[value][2 + axis] + 1, 0)))
    (top, bottom), (left, right) = sides
    return top, left, bottom, right


def _widest(a: Sides, b: Sides) -> Sides:
    top, left, bottom, right = (max(pair) for pair in zip(a, b, strict=True))
    return top, left, bottom, right
