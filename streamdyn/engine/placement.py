"""Where the values of a plan lie: which maps are kept, and how wide a border each needs."""

from __future__ import annotations

from typing import Final

from streamdyn.blocks import BlockGrid
from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Channels,
    Concat,
    Conv,
    GlobalPool,
    Graph,
    LayerNorm,
    Pad,
    Pool,
    Resize,
    Sides,
    Softmax,
)
from streamdyn.engine.plan import Place, Plan, Step, is_map, one_pixel
from streamdyn.engine.regions import tile
from streamdyn.engine.resampling import repeats

POINTWISE: Final = (Affine, Activation, Binary, Concat, Channels, LayerNorm, Softmax)


def place_values(plan: Plan, grid: BlockGrid | None) -> None:
    """Choose the place of each value; see `make_plan`."""
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
