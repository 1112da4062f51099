"""The plain computation of every operation, against loops and formulas."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from streamdyn.engine import reference
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
    Interleave,
    LayerNorm,
    Node,
    Pad,
    Pool,
    Resize,
    Softmax,
    windows,
)

RANDOM = np.random.default_rng(0)
INFINITY = float("inf")


def floats(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def apply(op, *inputs, shape=None):
    found = reference.apply(op, [torch.from_numpy(x) for x in inputs], shape or inputs[0].shape)
    return found.numpy()


def axes(draw):
    """Size, kernel, stride, padding before and after, dilation of one axis that has a window."""
    kernel, stride, dilation = (draw(st.integers(1, 3)) for _ in range(3))
    before, after = (draw(st.integers(0, 2)) for _ in range(2))
    reach = dilation * (kernel - 1) + 1
    size = draw(st.integers(max(reach - before - after, 1), 8))
    return size, kernel, stride, before, after, dilation


@st.composite
def windowed(draw):
    return axes(draw), axes(draw)


def patches(x, rows, columns, fill):
    """Every window of a map, one at a time: (y, x, (C, kernel height, kernel width))."""
    _, _, _, top, bottom, _ = rows
    _, _, _, left, right, _ = columns
    padded = np.pad(x[0], ((0, 0), (top, bottom), (left, right)), constant_values=fill)
    for y in range(windows(*rows)):
        for x_ in range(windows(*columns)):
            ys = y * rows[2] + np.arange(rows[1]) * rows[5]
            xs = x_ * columns[2] + np.arange(columns[1]) * columns[5]
            yield y, x_, padded[:, ys[:, None], xs]


def parameters(rows, columns):
    return {
        "stride": (rows[2], columns[2]),
        "padding": (rows[3], columns[3], rows[4], columns[4]),
        "dilation": (rows[5], columns[5]),
    }


@given(windowed(), st.sampled_from([1, 2, 4]))
def test_convolution(sides, groups):
    rows, columns = sides
    x, weight, bias = floats(1, 4, rows[0], columns[0]), None, floats(8)
    weight = floats(8, 4 // groups, rows[1], columns[1])
    expected = np.empty((1, 8, windows(*rows), windows(*columns)), np.float32)
    for y, x_, patch in patches(x, rows, columns, 0):
        for output in range(8):
            first = output // (8 // groups) * (4 // groups)
            part = patch[first : first + 4 // groups]
            expected[0, output, y, x_] = (part * weight[output]).sum() + bias[output]
    op = Conv(weight, bias, groups=groups, **parameters(rows, columns))
    np.testing.assert_allclose(apply(op, x), expected, 1e-4, 1e-4)


@given(windowed(), st.sampled_from(["max", "average"]), st.booleans())
def test_pool(sides, kind, count_padding):
    if kind == "average":
        sides = tuple((*side[:5], 1) for side in sides)
    rows, columns = sides
    x = floats(1, 2, rows[0], columns[0]) - 3
    expected = np.empty((1, 2, windows(*rows), windows(*columns)), np.float32)
    for y, x_, patch in patches(x, rows, columns, np.nan):
        inside = ~np.isnan(patch[0])
        if not inside.any():
            assume(False)  # a window of padding alone means nothing
        count = inside.size if count_padding else inside.sum()
        values = np.nan_to_num(patch, nan=-INFINITY if kind == "max" else 0).reshape(2, -1)
        expected[0, :, y, x_] = values.max(1) if kind == "max" else values.sum(1) / count
    op = Pool(kind, (rows[1], columns[1]), count_padding=count_padding,
              **parameters(rows, columns))  # fmt: skip
    np.testing.assert_allclose(apply(op, x), expected, 1e-4, 1e-4)


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolution_is_the_transpose_of_a_convolution(groups):
    weight = floats(6, 4 // groups, 3, 2)  # of a convolution from 4 to 6 channels
    zeros = np.zeros(6, np.float32)
    how = {"stride": (2, 3), "dilation": (1, 2), "groups": groups}
    conv = Conv(weight, zeros, padding=(1, 0, 1, 0), **how)
    back = ConvTranspose(weight, zeros[:4], padding=(1, 0), **how)
    x = floats(1, 4, 9, 12)
    y = apply(conv, x)
    other = floats(*y.shape)
    # <conv(x), y> = <x, back(y)>
    returned = apply(back, other, shape=x.shape)
    assert returned.shape == x.shape
    np.testing.assert_allclose((y * other).sum(), (x * returned).sum(), 1e-4)


FORMULAS = {
    "clip": lambda x: np.clip(x, -0.5, 1.0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu_tanh": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, 0.2 * (np.exp(x) - 1)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softplus": lambda x: np.log1p(np.exp(x)),
}


@pytest.mark.parametrize(("kind", "formula"), FORMULAS.items(), ids=FORMULAS)
def test_activations(kind, formula):
    x = floats(1, 2, 8, 9) * 4
    op = Activation(kind, low=-0.5, high=1.0, slope=0.2)
    np.testing.assert_allclose(apply(op, x), formula(x), 1e-4, 1e-5)


def test_gelu_is_exact():
    x = np.array([0.0, 1.0, -1.0], np.float32).reshape(1, 3, 1, 1)
    share = np.array([0.5, 0.8413447, 0.1586553], np.float32)  # of a normal variable below x
    np.testing.assert_allclose(apply(Activation("gelu"), x).ravel(), x.ravel() * share, 1e-5)


OPERATORS = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "maximum": np.maximum, "minimum": np.minimum,
}  # fmt: skip


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (1, 3, 1, 1), (1, 1, 4, 5)])
def test_binary(kind, shape):
    x, y = floats(1, 3, 4, 5), floats(*shape)
    np.testing.assert_allclose(apply(Binary(kind), x, y), OPERATORS[kind](x, y), 1e-6)


def test_resize():
    x = floats(1, 2, 4, 3)
    rows, columns = np.arange(8) // 2, np.arange(5) * 3 // 5
    nearest = apply(Resize("nearest"), x, shape=(1, 2, 8, 5))
    np.testing.assert_array_equal(nearest, x[:, :, rows][:, :, :, columns])
    corners = apply(Resize("bilinear", align_corners=True), x, shape=(1, 2, 7, 5))
    np.testing.assert_allclose(corners[:, :, ::2, ::2], x, 1e-6)
    np.testing.assert_allclose(corners[:, :, 1, 0], x[:, :, :2, 0].mean(2), 1e-6)
    centres = apply(Resize("bilinear"), x, shape=(1, 2, 8, 6))
    np.testing.assert_allclose(centres[:, :, 0, 0], x[:, :, 0, 0], 1e-6)
    mixed = x[:, :, 0, 0] * 0.75 + x[:, :, 0, 1] * 0.25
    np.testing.assert_allclose(centres[:, :, 0, 1], mixed, 1e-5, 1e-6)


def test_everything_else_is_its_formula():
    x, scale, shift = floats(1, 3, 4, 5), floats(3), floats(3)
    column = (slice(None), None, None)
    np.testing.assert_allclose(
        apply(Affine(scale, shift), x), x * scale[column] + shift[column], 1e-5, 1e-6
    )
    np.testing.assert_array_equal(apply(Concat(), x, x), np.concatenate([x, x], 1))
    np.testing.assert_array_equal(apply(Channels(np.array([2, 0, 0])), x), x[:, [2, 0, 0]])
    mean, deviation = x.mean(1, keepdims=True), np.sqrt(x.var(1, keepdims=True) + 1e-3)
    normal = (x - mean) / deviation * scale[column] + shift[column]
    np.testing.assert_allclose(apply(LayerNorm(scale, shift, 1e-3), x), normal, 1e-4, 1e-5)
    exponents = np.exp(x)
    np.testing.assert_allclose(
        apply(Softmax(), x), exponents / exponents.sum(1, keepdims=True), 1e-5
    )
    padded = np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 0)), constant_values=7)[..., 2:]
    np.testing.assert_array_equal(apply(Pad((1, -2, 2, 0), 7.0), x), padded)
    phases = [padded[:, :, y::3, x::2] for y in range(3) for x in range(2)]
    phases = [np.pad(each, ((0, 0), (0, 0), (0, 3), (0, 3)))[..., :3, :4] for each in phases]
    woven = reference.apply(Interleave((3, 2)), [*map(torch.from_numpy, phases)], padded.shape)
    np.testing.assert_array_equal(woven.numpy(), padded)
    np.testing.assert_allclose(apply(GlobalPool(), x), x.mean((2, 3), keepdims=True), 1e-5, 1e-6)
    like = torch.zeros(1, dtype=torch.float64)
    constant = reference.apply(Constant(x), [], x.shape, like)
    assert constant.dtype == torch.float64
    np.testing.assert_array_equal(constant.float().numpy(), x)


def network():
    """Two outputs, one of them of a dense operation of two results."""
    conv = Conv(floats(4, 3, 3, 3), floats(4), (2, 2), (1, 1, 1, 1))
    shapes = [(1, 3, 8, 6), (1, 4, 4, 3), (1, 4, 3), (1, 4, 3), (1, 2, 8, 6)]
    return Graph(
        nodes=[
            Node("stem", conv, (0,), (1,)),
            Node("range", Dense(lambda x: (x.amin(2), x.amax(2)), "range", 5), (1,), (2, 3)),
            Node("up", ConvTranspose(floats(4, 2, 2, 2), floats(2), (2, 2)), (1,), (4,)),
        ],
        shapes=shapes,
        outputs=(4, 3),
        output_names=("up", "highest"),
        views=(lambda value: value.flatten(2), lambda value: value),
    )


def test_a_graph_gives_its_outputs_as_the_model_does():
    graph = network()
    x = torch.from_numpy(floats(1, 3, 8, 6))
    up, highest = reference.run(graph, x)
    (stem,) = (reference.apply(graph.nodes[0].op, [x], graph.shapes[1]),)
    assert torch.equal(highest, stem.amax(2))
    expected = reference.apply(graph.nodes[2].op, [stem], graph.shapes[4]).flatten(2)
    assert torch.equal(up, expected)
    half = reference.run(graph, x.bfloat16())
    assert [tensor.dtype for tensor in half] == [torch.bfloat16] * 2
    torch.testing.assert_close(half[0].float(), up, rtol=0.1, atol=0.1)


def test_multiply_accumulates():
    graph = network()
    counts = [reference.macs(node, graph) for node in graph.nodes]
    assert counts == [4 * 4 * 3 * 3 * 9, 5, 4 * 4 * 3 * 2 * 4]
