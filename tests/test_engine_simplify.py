"""Simplification leaves the results as they are, and says everything once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.engine import reference
from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    GlobalPool,
    Graph,
    LayerNorm,
    Node,
    Pad,
    Pool,
    Resize,
)
from streamdyn.engine.simplify import simplify

RANDOM = np.random.default_rng(0)
SIZE = (9, 11)
RELU = Activation("clip", low=0.0)


def floats(*shape):
    return RANDOM.uniform(-1, 1, shape).astype(np.float32)


def affine(channels):
    return Affine(floats(channels), floats(channels))


def conv(inputs, outputs, kernel=1, padding=(0, 0, 0, 0), groups=1):
    return Conv(floats(outputs, inputs // groups, kernel, kernel), floats(outputs),
                padding=padding, groups=groups)  # fmt: skip


def network(*steps, returns=()):
    """A chain of operations; a step may name its inputs: (op, inputs). Values count from 1."""
    nodes, shapes = [], [(1, 3, *SIZE)]
    values = [torch.zeros(1, 3, *SIZE)]
    for number, step in enumerate(steps):
        op, inputs = step if isinstance(step, tuple) else (step, (number,))
        if isinstance(op, Resize):
            shape = (*shapes[inputs[0]][:2], *SIZE)
        elif isinstance(op, ConvTranspose):
            height, width = shapes[inputs[0]][2:]
            kernel, groups = op.weight.shape[2:], op.groups
            sides = [
                (side - 1) * step + size
                for side, step, size in zip((height, width), op.stride, kernel, strict=True)
            ]
            shape = (1, op.weight.shape[1] * groups, *sides)
        else:
            shape = None
        values.append(reference.apply(op, [values[value] for value in inputs], shape, values[0]))
        shapes.append(tuple(values[-1].shape))
        nodes.append(Node(f"layer{number}", op, inputs, (number + 1,)))
    outputs = (len(steps), *returns)
    names = tuple(f"output{value}" for value in outputs)
    return Graph(nodes, shapes, outputs, names, (lambda value: value,) * len(outputs))


def simplified(graph):
    """The operations that remain, after a check that they compute the same."""
    simple = simplify(graph)
    x = torch.from_numpy(floats(1, 3, *SIZE))
    for one, other in zip(reference.run(simple, x), reference.run(graph, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    used = {value for node in simple.nodes for value in (*node.inputs, *node.outputs)}
    assert used | {0} | set(simple.outputs) == set(range(len(simple.shapes)))
    return [node.op for node in simple.nodes]


def kinds(operations):
    return [type(operation).__name__ for operation in operations]


@pytest.mark.parametrize(
    "first",
    [
        conv(3, 4, 3, (1, 1, 1, 1)),
        conv(3, 6, 3, groups=3),
        ConvTranspose(floats(3, 4, 2, 2), floats(4), (2, 2)),
        ConvTranspose(floats(3, 2, 3, 3), floats(6), groups=3),
        LayerNorm(floats(3), floats(3)),
    ],
)
def test_scales_fold_into_what_is_before_them(first):
    channels = len(first.bias)
    found = simplified(network(first, affine(channels), affine(channels), RELU))
    assert kinds(found) == [type(first).__name__, "Activation"]


def test_scales_fold_into_the_convolution_after_them():
    assert kinds(simplified(network(RELU, affine(3), conv(3, 4)))) == ["Activation", "Conv"]
    grouped = conv(3, 6, 3, groups=3)
    assert kinds(simplified(network(RELU, affine(3), grouped))) == ["Activation", "Conv"]
    padded = conv(3, 4, 3, (1, 1, 1, 1))
    shifted = network(RELU, affine(3), padded)
    assert kinds(simplified(shifted)) == ["Activation", "Affine", "Conv"]
    scaled = network(RELU, Affine(floats(3), np.zeros(3, np.float32)), padded)
    assert kinds(simplified(scaled)) == ["Activation", "Conv"]


def test_what_others_read_is_not_folded():
    graph = network(conv(3, 3), affine(3), (Binary("add"), (1, 2)))
    assert kinds(simplified(graph)) == ["Conv", "Affine", "Binary"]
    returned = network(conv(3, 3), affine(3), returns=(1,))
    assert kinds(simplified(returned)) == ["Conv", "Affine"]


PAD = Pad((1, 0, 2, 1))
POOL = Pool("max", (3, 3), (2, 2))


def test_convolutions_and_pools_pad_for_themselves():
    (found,) = simplified(network(PAD, conv(3, 4, 3, (1, 1, 0, 0))))
    assert found.padding == (2, 1, 2, 1)
    (found,) = simplified(network(PAD, Pad((0, 1, 0, 0)), conv(3, 4, 3)))
    assert found.padding == (1, 1, 2, 1)
    (found,) = simplified(network(PAD, Pool("average", (3, 3), (2, 2))))
    assert found.padding == PAD.padding
    assert found.count_padding
    _, found = simplified(network(RELU, PAD, POOL))
    assert found.padding == PAD.padding
    (found,) = simplified(network(replace(PAD, value=-np.inf), replace(POOL, padding=(1, 1, 0, 0))))
    assert found.padding == (2, 1, 2, 1)


@pytest.mark.parametrize(
    "steps",
    [
        (replace(PAD, value=1.0), conv(3, 4, 3)),
        (PAD, POOL),  # zeros win against negative numbers
        (PAD, Pool("average", (3, 3), (2, 2), (1, 1, 1, 1), count_padding=False)),
        (replace(PAD, padding=(-1, 0, 0, 0)), conv(3, 4, 3, (1, 1, 1, 1))),
        (PAD, replace(PAD, value=1.0)),
        (PAD, RELU),
    ],
)
def test_padding_that_is_something_else_stays(steps):
    assert len(simplified(network(*steps))) == 2


def test_pads_of_windows_of_padding_alone_stay():
    graph = network(RELU, Pad((3, 0, 0, 0)), POOL)
    assert kinds(simplified(graph)) == ["Activation", "Pad", "Pool"]


def test_choices_of_channels_are_made_at_once():
    first, second = Channels(np.array([2, 0, 1, 1])), Channels(np.array([3, 0]))
    (found,) = simplified(network(first, second))
    assert found.indices.tolist() == [1, 2]
    back = Channels(np.array([1, 2, 0]))
    assert simplified(network(Channels(np.array([2, 0, 1])), back)) == []


@pytest.mark.parametrize(("gate", "name"), [("sigmoid", "silu"), ("hardsigmoid", "hardswish")])
@pytest.mark.parametrize("inputs", [(1, 2), (2, 1)])
def test_activations_are_called_by_their_name(gate, name, inputs):
    graph = network(conv(3, 3), Activation(gate), (Binary("multiply"), inputs))
    assert simplified(graph)[1:] == [Activation(name)]
    needed = replace(graph, outputs=(3, 2), output_names=("", ""), views=graph.views * 2)
    assert simplified(needed)[1:] == [Activation(gate), Activation(name)]


def test_other_gates_stay():
    tanh = network(conv(3, 3), Activation("tanh"), (Binary("multiply"), (1, 2)))
    assert kinds(simplified(tanh)) == ["Conv", "Activation", "Binary"]
    other = network(conv(3, 3), Activation("sigmoid"), (Binary("add"), (1, 2)))
    assert kinds(simplified(other)) == ["Conv", "Activation", "Binary"]


@pytest.mark.parametrize(
    "op",
    [
        Activation("clip"),
        Affine(np.ones(3, np.float32), np.zeros(3, np.float32)),
        Channels(np.arange(3)),
        Concat(),
        Pad((0, 0, 0, 0)),
        Pool("average", (1, 1), (1, 1)),
        Resize("bilinear"),
        Resize("nearest"),
    ],
)
def test_what_changes_nothing_is_left_out(op):
    assert simplified(network(RELU, op)) == [RELU]


def test_the_mean_of_one_pixel_is_left_out():
    assert kinds(simplified(network(GlobalPool(), GlobalPool()))) == ["GlobalPool"]


def test_what_nobody_needs_is_left_out():
    graph = network(RELU, conv(3, 4), (Activation("tanh"), (1,)))
    assert kinds(simplified(graph)) == ["Activation", "Activation"]
    several = Dense(lambda x: (x, x + 1), "both")
    graph = network(RELU)
    graph.shapes += [(1, 3, *SIZE)] * 2
    graph.nodes.append(Node("both", several, (1,), (2, 3)))
    kept = replace(graph, outputs=(3,))
    assert kinds(simplified(kept)) == ["Activation", "Dense"]
    assert kinds(simplified(graph)) == ["Activation"]


def test_a_network_may_return_the_image():
    simple = simplify(network(Activation("clip")))
    assert (simple.nodes, simple.outputs, simple.shapes) == ([], (0,), [(1, 3, *SIZE)])


STEPS = st.sampled_from(
    [
        RELU,
        PAD,
        replace(PAD, value=0.5),
        replace(PAD, padding=(1, -1, 0, 1)),
        conv(3, 3),
        conv(3, 3, 3, (1, 1, 1, 1)),
        conv(3, 3, 3, (1, 1, 1, 1), groups=3),
        affine(3),
        Affine(np.ones(3, np.float32), np.zeros(3, np.float32)),
        Channels(np.array([1, 2, 0])),
        Channels(np.array([0, 0, 2])),
        replace(POOL, stride=(1, 1), padding=(1, 1, 1, 1)),
        Pool("average", (3, 3), (1, 1), (1, 1, 1, 1)),
        LayerNorm(floats(3), floats(3)),
        Activation("tanh"),
    ]
)


@given(st.lists(STEPS, min_size=1, max_size=7), st.lists(st.integers(0, 7), max_size=2))
def test_any_chain_of_operations_computes_the_same(steps, returned):
    graph = network(*steps, returns=tuple(value for value in returned if value <= len(steps)))
    assert len(simplified(graph)) <= len(graph.nodes)
