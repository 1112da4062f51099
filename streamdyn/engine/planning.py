"""From a graph to a plan: operations are fused, and those that cannot run on blocks told apart."""

from __future__ import annotations

from collections import Counter

from streamdyn.blocks import BlockGrid
from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Constant,
    Conv,
    Dense,
    GlobalPool,
    Graph,
    Node,
    Pad,
)
from streamdyn.engine.lower import lower
from streamdyn.engine.placement import place_values
from streamdyn.engine.plan import Plan, Step


def make_plan(graph: Graph, grid: BlockGrid | None) -> Plan:
    """Plan a simplified graph.

    Args:
        grid: the blocks by which every map is computed; None: each map has pixels of its own that
            are computed, and all are kept.
    """
    graph = lower(graph)
    constants = {n.outputs[0]: n.op for n in graph.nodes if isinstance(n.op, Constant)}
    plan = Plan(graph, _place_dense(_fuse(graph), graph), constants)
    place_values(plan, grid)
    return plan


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
