"""What has no kernel of its own, as operations that have one.

A transposed convolution is an ordinary one for each *phase* of its output, the pixels that have
the same place within a stride; the phases are then interleaved. Padding by a number is padding by
zeros, and a map that is added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import gcd

import numpy as np

from streamdyn.engine.graph import (
    Activation,
    Binary,
    Channels,
    Constant,
    Conv,
    ConvTranspose,
    Floats,
    Graph,
    Interleave,
    Node,
    Op,
    Pad,
)

Axis = tuple[list[int], int, int]  # weights in order, pixels between what they read, padding before


def lower(graph: Graph) -> Graph:
    """A simplified graph, with values added to those that it has."""
    shapes, nodes = [*graph.shapes], list[Node]()
    for node in graph.nodes:
        match node.op:
            case ConvTranspose() as op:
                nodes += _by_phase(node, op, shapes)
            case Pad() as op if op.value and np.isfinite(op.value):
                nodes += _by_zeros(node, op, shapes)
            case _:
                nodes.append(node)
    return _activate_phases(replace(graph, nodes=nodes, shapes=shapes))


def _by_phase(node: Node, op: ConvTranspose, shapes: list[tuple[int, ...]]) -> Iterator[Node]:
    """A transposed convolution as the interleaving of ordinary ones."""
    size, outside = shapes[node.inputs[0]][2:], shapes[node.outputs[0]]
    count = [-(-outside[2 + axis] // op.stride[axis]) for axis in (0, 1)]
    phases = []
    for phase in product(*map(range, op.stride)):
        taps = [_taps(op, i, phase[i], size[i], count[i]) for i in (0, 1)]
        shapes.append((1, outside[1], *count))
        phases.append(len(shapes) - 1)
        yield Node(node.name, _phase(op, taps, size, count), node.inputs, (phases[-1],))
    yield Node(node.name, Interleave(op.stride), tuple(phases), node.outputs)


def _taps(op: ConvTranspose, axis: int, phase: int, size: int, count: int) -> Axis:
    """The weights along an axis by which pixels of the input reach those of a phase."""
    stride, dilation = op.stride[axis], op.dilation[axis]
    places = {}  # of the pixel that each weight reads for the first pixel of the phase
    for weight in reversed(range(op.weight.shape[2 + axis])):
        place, between = divmod(phase + op.padding[axis] - dilation * weight, stride)
        if not between and -count < place < size:
            places[weight] = place
    before = -min(places.values(), default=0)
    return [*places], dilation // gcd(dilation, stride), before


def _phase(op: ConvTranspose, taps: list[Axis], size: tuple[int, ...], count: list[int]) -> Op:
    """The convolution that computes one phase: `count` pixels high and wide."""
    (rows, down, top), (cols, right, left) = taps
    weight = _weight(op)[:, :, rows][:, :, :, cols]
    if not weight.size:  # no weight reaches it
        weight = np.zeros((*weight.shape[:2], 1, 1), np.float32)
    bottom, end = (
        count[axis] + (weight.shape[2 + axis] - 1) * apart - before - size[axis]
        for axis, (_, apart, before) in enumerate(taps)
    )
    weight = np.ascontiguousarray(weight)
    conv = Conv(
        weight, op.bias, padding=(top, left, bottom, end), dilation=(down, right), groups=op.groups
    )
    return _chosen(conv) or conv


def _weight(op: ConvTranspose) -> Floats:
    """The weights as those of a convolution: (O, I / groups, kernel height, kernel width)."""
    inputs, outputs, high, wide = op.weight.shape
    grouped = op.weight.reshape(op.groups, inputs // op.groups, outputs, high, wide)
    return grouped.swapaxes(1, 2).reshape(-1, inputs // op.groups, high, wide)


def _chosen(op: Conv) -> Channels | None:
    """A convolution that does no more than choose channels, as in a pixel shuffle."""
    outputs, inputs, *kernel = op.weight.shape
    if kernel != [1, 1] or any(op.padding) or op.bias.any():
        return None
    weight = op.weight.reshape(outputs, inputs)
    if not (((weight == 0) | (weight == 1)).all() and (weight.sum(1) == 1).all()):
        return None
    groups = np.arange(outputs) // (outputs // op.groups)
    return Channels(groups * inputs + weight.argmax(1))


def _by_zeros(node: Node, op: Pad, shapes: list[tuple[int, ...]]) -> Iterator[Node]:
    """Padding by a number as padding by zeros, and a map that holds the number around them."""
    inside, outside = shapes[node.inputs[0]], shapes[node.outputs[0]]
    top, left, _, _ = op.padding
    value = np.full((1, 1, *outside[2:]), op.value, np.float32)
    value[..., max(top, 0) : top + inside[2], max(left, 0) : left + inside[3]] = 0
    padded, around = len(shapes), len(shapes) + 1
    shapes += [outside, value.shape]
    yield Node(node.name, replace(op, value=0.0), node.inputs, (padded,))
    yield Node(node.name, Constant(value), (), (around,))
    yield Node(node.name, Binary("add"), (padded, around), node.outputs)


def _activate_phases(graph: Graph) -> Graph:
    """Apply activations before phases are interleaved, so that they join the convolutions."""
    reads = Counter([*graph.outputs, *(value for node in graph.nodes for value in node.inputs)])
    makers: dict[int, Node] = {}
    shapes, nodes = [*graph.shapes], list[Node]()
    for node in graph.nodes:
        maker = makers.get(node.inputs[0]) if isinstance(node.op, Activation) else None
        if maker and isinstance(maker.op, Interleave) and reads[maker.outputs[0]] == 1:
            nodes.remove(maker)
            activated = tuple(range(len(shapes), len(shapes) + len(maker.inputs)))
            for before, after in zip(maker.inputs, activated, strict=True):
                shapes.append(shapes[before])
                nodes.append(replace(node, inputs=(before,), outputs=(after,)))
            node = replace(maker, inputs=activated, outputs=node.outputs)
        nodes.append(node)
        makers.update(dict.fromkeys(node.outputs, node))
    return replace(graph, nodes=nodes, shapes=shapes)
