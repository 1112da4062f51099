"""The same network in fewer operations: what a graph says twice, or could say more cheaply."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from streamdyn.engine.graph import (
    Activation,
    ActivationKind,
    Affine,
    Binary,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    GlobalPool,
    Graph,
    LayerNorm,
    Node,
    Op,
    Pad,
    Pool,
    Resize,
    Sides,
)

NO_PADDING: Sides = (0, 0, 0, 0)


def simplify(graph: Graph) -> Graph:
    """Fold, merge and drop whatever leaves the results the same, but for rounding."""
    for change in (
        drop_identities,
        compose_channels,
        merge_pads,
        fold_affines,
        name_activations,
        drop_identities,  # of what has become one
        drop_dead,
    ):
        graph = change(graph)
    return graph


def drop_identities(graph: Graph) -> Graph:
    """Leave out operations that give what they are given."""
    same: dict[int, int] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(same.get(value, value) for value in node.inputs)
        if _is_identity(node, graph):
            same[node.outputs[0]] = inputs[0]
        else:
            nodes.append(replace(node, inputs=inputs))
    outputs = tuple(same.get(value, value) for value in graph.outputs)
    return replace(graph, nodes=nodes, outputs=outputs)


def _is_identity(node: Node, graph: Graph) -> bool:
    match node.op:
        case Activation(kind="clip", low=low, high=high):
            return (low, high) == (-np.inf, np.inf)
        case Affine(scale=scale, shift=shift):
            return bool((scale == 1).all() and (shift == 0).all())
        case Channels(indices=indices):
            return np.array_equal(indices, np.arange(graph.shapes[node.inputs[0]][1]))
        case Concat():
            return len(node.inputs) == 1
        case Pad(padding=padding):
            return padding == NO_PADDING
        case Pool(kernel=(1, 1), stride=(1, 1), padding=padding):
            return padding == NO_PADDING
        case Resize() | GlobalPool():
            return graph.shapes[node.inputs[0]] == graph.shapes[node.outputs[0]]
        case _:
            return False


def compose_channels(graph: Graph) -> Graph:
    """Choose channels of chosen channels at once."""
    makers = {node.outputs[0]: node for node in graph.nodes}
    nodes = []
    for node in graph.nodes:
        maker = makers.get(node.inputs[0]) if node.inputs else None
        if isinstance(node.op, Channels) and maker and isinstance(maker.op, Channels):
            chosen = Channels(maker.op.indices[node.op.indices])
            node = replace(node, op=chosen, inputs=maker.inputs)
            makers[node.outputs[0]] = node
        nodes.append(node)
    return replace(graph, nodes=nodes)


def merge_pads(graph: Graph) -> Graph:
    """Let convolutions and pools pad for themselves."""
    makers = {value: node for node in graph.nodes for value in node.outputs}
    nodes = []
    for node in graph.nodes:
        pad = makers.get(node.inputs[0]) if node.inputs else None
        if pad and isinstance(pad.op, Pad):
            source = makers.get(pad.inputs[0])
            if op := _padded(node.op, pad.op, source.op if source else None):
                node = replace(node, op=op, inputs=pad.inputs)
                makers[node.outputs[0]] = node
        nodes.append(node)
    return replace(graph, nodes=nodes)


def _padded(op: Op, pad: Pad, source: Op | None) -> Op | None:
    """An operation on a padded map as one on the map itself; None: there is none."""
    if min(pad.padding) < 0:
        return None
    match op:
        case Conv() if pad.value == 0:
            return replace(op, padding=_sum(op.padding, pad.padding))
        case Pad() if pad.value == op.value:
            return replace(op, padding=_sum(op.padding, pad.padding))
        case Pool(kind="average") if pad.value == 0 and op.padding == NO_PADDING:
            return replace(op, padding=pad.padding, count_padding=True)
        case Pool(kind="max") if _never_wins(pad.value, source):
            padding = _sum(op.padding, pad.padding)
            reach = [step * (size - 1) for size, step in zip(op.kernel, op.dilation, strict=True)]
            if all(side <= most for side, most in zip(padding, reach * 2, strict=True)):
                return replace(op, padding=padding)
    return None


def _never_wins(value: float, source: Op | None) -> bool:
    """Whether a number is no more than any that an operation gives."""
    return value == -np.inf or (
        isinstance(source, Activation) and source.kind == "clip" and source.low >= value
    )


def _sum(a: Sides, b: Sides) -> Sides:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def fold_affines(graph: Graph) -> Graph:
    """Move batch norms, scales and shifts into the weights before or after them."""
    reads = _reads(graph)
    nodes: list[Node] = []
    makers: dict[int, int] = {}  # the place in `nodes` of what makes a value
    for node in graph.nodes:
        place = makers.get(node.inputs[0], -1) if node.inputs else -1
        maker = nodes[place].op if place >= 0 else None
        whole = None
        if maker and isinstance(node.op, Affine) and reads[node.inputs[0]] == 1:
            whole = _then(maker, node.op)
        if whole:
            nodes[place] = replace(nodes[place], op=whole, outputs=node.outputs)
        else:
            if isinstance(maker, Affine) and (op := _of(node.op, maker)):
                node = replace(node, op=op, inputs=nodes[place].inputs)
            place = len(nodes)
            nodes.append(node)
        makers.update(dict.fromkeys(node.outputs, place))
    return replace(graph, nodes=nodes)


def _then(op: Op, affine: Affine) -> Op | None:
    """An operation and an affine one after it, as one; None: there is none."""
    scale, shift = affine.scale, affine.shift
    match op:
        case Affine():
            return Affine(op.scale * scale, op.shift * scale + shift)
        case LayerNorm():
            return replace(op, weight=op.weight * scale, bias=op.bias * scale + shift)
        case Conv():
            weight = op.weight * scale[:, None, None, None]
            return replace(op, weight=weight, bias=op.bias * scale + shift)
        case ConvTranspose():
            outputs, *kernel = op.weight.shape[1:]
            grouped = op.weight.reshape(op.groups, -1, outputs, *kernel)
            weight = grouped * scale.reshape(op.groups, 1, outputs, 1, 1)
            return replace(op, weight=weight.reshape(op.weight.shape), bias=op.bias * scale + shift)
        case _:
            return None


def _of(op: Op, affine: Affine) -> Op | None:
    """An operation on the result of an affine one, as one; None: there is none."""
    if not isinstance(op, Conv) or (op.padding != NO_PADDING and affine.shift.any()):
        return None  # the border would be shifted as well
    per_group = op.weight.shape[1]
    outputs = np.arange(len(op.weight)) // (len(op.weight) // op.groups)
    reads = outputs[:, None] * per_group + np.arange(per_group)  # (O, I / groups)
    weight = op.weight * affine.scale[reads][:, :, None, None]
    bias = op.bias + np.einsum("oiyx,oi->o", op.weight, affine.shift[reads])
    return replace(op, weight=weight, bias=bias)


_GATED: dict[str, ActivationKind] = {"sigmoid": "silu", "hardsigmoid": "hardswish"}


def name_activations(graph: Graph) -> Graph:
    """See `x * sigmoid(x)` and the like as the one activation that they are."""
    makers = {node.outputs[0]: node for node in graph.nodes}
    nodes = [
        replace(node, op=Activation(kind), inputs=(x,)) if kind else node
        for node in graph.nodes
        for kind, x in [_gated(node, makers)]
    ]
    return replace(graph, nodes=nodes)


def _gated(node: Node, makers: dict[int, Node]) -> tuple[ActivationKind | None, int]:
    """The activation that multiplies a value by a gate made of itself, and the value."""
    if isinstance(node.op, Binary) and node.op.kind == "multiply":
        for x, gate in (node.inputs, node.inputs[::-1]):
            maker = makers.get(gate)
            if maker and isinstance(maker.op, Activation) and maker.inputs == (x,):
                return _GATED.get(maker.op.kind), x
    return None, 0


def drop_dead(graph: Graph) -> Graph:
    """Leave out what no output needs, and number the values anew."""
    needed = set(graph.outputs)
    nodes: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            nodes.insert(0, node)
    kept = [0, *(value for node in nodes for value in node.outputs)]
    number = {value: new for new, value in enumerate(kept)}

    def renumbered(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(number[value] for value in values)

    return replace(
        graph,
        nodes=[
            replace(node, inputs=renumbered(node.inputs), outputs=renumbered(node.outputs))
            for node in nodes
        ],
        shapes=[graph.shapes[value] for value in kept],
        outputs=renumbered(graph.outputs),
    )


def _reads(graph: Graph) -> Counter[int]:
    """How often each value is read, by nodes and by the caller."""
    return Counter([*graph.outputs, *(value for node in graph.nodes for value in node.inputs)])
