"""Transposed convolutions, pixel shuffles and padding by operations that run on blocks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from streamdyn import BlockMask
from streamdyn.bench.engine.twin import Twin
from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
from streamdyn.engine.graph import ConvTranspose, Graph, Node, Pad
from streamdyn.engine.lower import lower
from streamdyn.engine.simplify import simplify
from streamdyn.engine.sparse import SparseNetwork

SIZE = (64, 96)


def lowered(op, inside, outside):
    """The operations that take the place of one, after a check that they compute the same."""
    graph = Graph([Node("it", op, (0,), (1,))], [inside, outside], (1,), ("y",), (lambda y: y,))
    x = torch.randn(inside)
    (expected,), (found,) = reference.run(graph, x), reference.run(lower(graph), x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    return [type(node.op).__name__ for node in lower(graph).nodes]


@settings(max_examples=40)
@given(data=st.data())
def test_transposed_convolutions_are_convolutions_of_phases(data):
    groups, inputs, outputs = (data.draw(st.integers(1, 3)) for _ in range(3))
    kernel, stride, dilation = (
        (data.draw(st.integers(1, most)), data.draw(st.integers(1, most))) for most in (5, 4, 3)
    )
    size = data.draw(st.integers(2, 7)), data.draw(st.integers(2, 7))
    reach = [step * (count - 1) for step, count in zip(dilation, kernel, strict=True)]
    padding = tuple(data.draw(st.integers(0, most // 2 + 1)) for most in reach)
    extra = [data.draw(st.integers(0, step - 1)) for step in stride]
    outside = [(size[i] - 1) * stride[i] - 2 * padding[i] + reach[i] + 1 + extra[i] for i in (0, 1)]
    if min(outside) < 1 or any(e >= max(stride[i], dilation[i]) for i, e in enumerate(extra)):
        return
    weight = torch.randn(groups * inputs, outputs, *kernel).numpy()
    bias = torch.randn(groups * outputs).numpy()
    op = ConvTranspose(weight, bias, stride, padding, dilation, groups)
    found = lowered(op, (1, groups * inputs, *size), (1, groups * outputs, *outside))
    assert found == ["Conv"] * (stride[0] * stride[1]) + ["Interleave"]


@given(st.tuples(*[st.integers(-2, 3)] * 4), st.sampled_from([0.0, 0.5, -1e9, np.inf]))
def test_padding_is_by_zeros(padding, value):
    top, left, bottom, right = padding
    outside = (1, 3, 5 + top + bottom, 6 + left + right)
    found = lowered(Pad(padding, value), (1, 3, 5, 6), outside)
    by_zeros = value and np.isfinite(value)
    assert found == (["Pad", "Constant", "Binary"] if by_zeros else ["Pad"])


def layers(*layers):
    torch.manual_seed(0)
    return simplify(capture(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), *layers).eval(), SIZE))


def kinds(nodes):
    return [type(node.op).__name__ for node in nodes]


def test_a_pixel_shuffle_chooses_channels():
    graph = lower(layers(nn.PixelShuffle(2)))
    assert kinds(graph.nodes) == ["Conv"] + ["Channels"] * 4 + ["Interleave"]


def test_activations_join_the_convolutions_of_phases():
    network = SparseNetwork(layers(nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.SiLU()), 16)
    operations = [layer.operation for layer in network.report()]
    assert operations == ["Conv"] + ["Conv + silu"] * 4 + ["Interleave"]


def test_what_is_read_twice_is_not_activated_early():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 4, 2, 2)

        def forward(self, x):
            x = self.up(x)
            return x + x.tanh()

    graph = lower(simplify(capture(Twice().eval(), SIZE)))
    assert kinds(graph.nodes) == ["Conv"] * 4 + ["Interleave", "Activation", "Binary"]


UPWARD = {
    "on its block": [nn.ConvTranspose2d(8, 6, 2, 2)],
    "beyond its block": [nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.ReLU()],
    "cut off": [nn.ConvTranspose2d(8, 6, 2, 2, 1)],
    "one pixel less": [nn.ConvTranspose2d(8, 6, 3, 2, 1)],
    "one pixel more": [nn.ConvTranspose2d(8, 6, 3, 2)],
    "dilated": [nn.ConvTranspose2d(8, 6, 3, 2, 2, 1, dilation=2)],
    "grouped": [nn.ConvTranspose2d(8, 6, 3, 2, 1, 1, groups=2)],
    "depthwise": [nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8)],
    "with gaps": [nn.ConvTranspose2d(8, 6, 2, 3)],
    "finer than blocks": [nn.MaxPool2d(8), nn.ConvTranspose2d(8, 6, 4, 4), nn.Conv2d(6, 6, 1)],
    "shuffled": [nn.PixelShuffle(2), nn.Conv2d(2, 5, 3, 1, 1)],
    "shuffled by many": [nn.Conv2d(8, 64, 1), nn.PixelShuffle(8)],
    "padded": [nn.ReLU(), nn.ZeroPad2d((1, 2, 3, 0)), nn.Sigmoid()],
    "padded by a number": [nn.ConstantPad2d((1, 2, -3, 0), 0.5)],
    "cropped": [nn.ZeroPad2d((-1, -2, 0, -3)), nn.Conv2d(8, 8, 3, 1, 1)],
}


class Upward(nn.Module):
    """All of these, each on the same map."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.branches = nn.ModuleDict({name: nn.Sequential(*UPWARD[name]) for name in UPWARD})

    def forward(self, x):
        x = self.stem(x)
        return {name: branch(x) for name, branch in self.branches.items()}


@pytest.fixture(scope="module")
def upward():
    torch.manual_seed(0)
    return simplify(capture(Upward().eval(), SIZE))


def random_mask(grid, rng, density=0.3):
    return BlockMask(grid, rng.random(grid.shape) < density)


def check(names, found, expected, tolerance=1e-4):
    for name, one, other in zip(names, found, expected, strict=True):
        scale = float(other.abs().max())
        np.testing.assert_allclose(one, other, tolerance, tolerance * scale, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_they_run_on_blocks(upward, dtype):
    network = SparseNetwork(upward, 16, dtype)
    assert [layer for layer in network.report() if layer.dense] == []
    tolerance = 1e-4 if dtype == "float32" else 3e-2
    twin, cache, rng = Twin(network.plan.graph), network.new_cache(), np.random.default_rng(0)
    for call in range(3):
        x = torch.randn(1, 3, *SIZE)
        mask = random_mask(network.grid, rng) if call else network.grid.all()
        found = network.tensors(x, mask, cache)
        check(found, found.values(), twin(x, mask), tolerance)
        if not call:
            check(found, found.values(), reference.run(upward, x), tolerance)


@pytest.mark.parametrize("propagation", [0, 1e-7])
def test_changes_propagate_through_them(upward, propagation):
    network = SparseNetwork(upward, 16, "float32", propagation)
    cache, rng, x = network.new_cache(), np.random.default_rng(0), torch.randn(1, 3, *SIZE)
    for call in range(3):
        mask = random_mask(network.grid, rng) if call else network.grid.all()
        x = torch.where(torch.from_numpy(mask.pixels(*SIZE)), torch.randn(1, 3, *SIZE), x)
        found = network.tensors(x, mask, cache)
        check(found, found.values(), reference.run(upward, x))


def test_an_output_depends_on_no_more_than_its_phase_reaches(upward):
    network = SparseNetwork(upward, 16, "float32", 0)
    mask = network.grid.none()
    mask.active[1, 1] = True
    assert 0 < network.share(mask) < 0.25
