"""Networks whose shapes and connections are easily mistaken for the usual ones."""

import numpy as np
import pytest
import torch
from torch import nn

from streamdyn import BlockMask, sparsify

SIZE = (64, 96)


class Net(nn.Module):
    """Some layers, and a function of them and of the image."""

    def __init__(self, forward, **layers):
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


def conv(inputs, outputs, kernel=3, **more):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **more)


NETS = {
    "around one convolution": lambda: Net(
        lambda s, x: (y := torch.relu(s.a(x))) + s.b(y), a=conv(3, 8), b=conv(8, 8)
    ),
    "around one depthwise": lambda: Net(
        lambda s, x: (y := torch.relu(s.a(x))) + s.b(y), a=conv(3, 8), b=conv(8, 8, groups=8)
    ),
    "around one of the image": lambda: Net(lambda s, x: x + s.a(x), a=conv(3, 3)),
    "with its mean": lambda: Net(
        lambda s, x: s.b(y := torch.relu(s.a(x))) + y.mean((2, 3), keepdim=True),
        a=conv(3, 8), b=conv(8, 8, 1),
    ),
    "with one channel": lambda: Net(
        lambda s, x: s.b(y := torch.relu(s.a(x))) + s.c(y), a=conv(3, 8), b=conv(8, 8, 1),
        c=conv(8, 1, 1),
    ),
    "of one channel": lambda: Net(
        lambda s, x: s.c(y := torch.relu(s.a(x))) + s.b(y), a=conv(3, 8), b=conv(8, 8, 1),
        c=conv(8, 1, 1),
    ),
    "of one pixel": lambda: Net(
        lambda s, x: s.b((y := torch.relu(s.a(x))).mean((2, 3), keepdim=True)) + y,
        a=conv(3, 8), b=conv(8, 8, 1),
    ),
    "groups of the image": lambda: Net(lambda s, x: s.a(x), a=conv(3, 6, groups=3)),
    "its own input": lambda: Net(lambda s, x: (x, s.a(x)), a=conv(3, 4)),
    "odd channels": lambda: Net(
        lambda s, x: s.c(torch.relu(s.b(torch.relu(s.a(x))))), a=conv(3, 5), b=conv(5, 7),
        c=conv(7, 3, 1),
    ),
}  # fmt: skip


def several(given):
    return list(given) if isinstance(given, tuple) else [given]


@pytest.mark.parametrize("propagation", ["copy", 0])
@pytest.mark.parametrize("name", NETS)
def test_all_blocks_are_the_whole_network(name, propagation):
    torch.manual_seed(0)
    module, x = NETS[name]().eval(), torch.randn(1, 3, *SIZE)
    net = sparsify(module, SIZE, propagation=propagation)
    found = several(net(x, net.grid.all(), net.new_cache()))
    with torch.inference_mode():
        torch.testing.assert_close(found, several(module(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_exact_propagation_reaches_all_that_depends_on_a_block(name):
    torch.manual_seed(0)
    module, x = NETS[name]().eval(), torch.randn(1, 3, *SIZE)
    net = sparsify(module, SIZE, propagation=0)
    cache = net.new_cache()
    net(x, net.grid.all(), cache)
    x = x.clone()
    x[:, :, 32:, 32:64] += 1
    found = several(net(x, BlockMask(net.grid, np.arange(6).reshape(2, 3) == 4), cache))
    with torch.inference_mode():
        torch.testing.assert_close(found, several(module(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_no_number_stays_in_its_stream(dtype):
    """Rows of odd channels lie close to those of other streams."""
    torch.manual_seed(0)
    module = NETS["odd channels"]().eval()
    net = sparsify(module, SIZE, dtype=dtype)
    clean, spoilt = net.new_cache(), net.new_cache()
    x, bad = torch.randn(1, 3, *SIZE), torch.full((1, 3, *SIZE), torch.nan)
    everything = net.grid.all()
    before = net(x, everything, clean).clone()
    net(x, everything, spoilt)
    for some in np.random.default_rng(0).random((5, *net.grid.shape)) < 0.4:
        mask = BlockMask(net.grid, some)
        net.run_many([(bad, everything, spoilt), (x, mask, clean)])
        net.run_many([(x, mask, clean), (bad, mask, spoilt)])
        assert torch.equal(net(x, net.grid.none(), clean), before)
    assert torch.equal(net(x, everything, spoilt), before)


@pytest.mark.parametrize("new", [(82, 123), (128, 192), (100, 101)])
def test_nearest_pixels_are_those_of_torch(new):
    """Between two equally near ones the rounding of the scale decides."""
    torch.manual_seed(0)
    module = Net(
        lambda s, x: s.b(nn.functional.interpolate(s.a(x), new)),
        a=conv(3, 4, 32, stride=32), b=conv(4, 4, 1),
    )  # fmt: skip
    module.a.padding = (0, 0)
    x = torch.randn(1, 3, *SIZE)
    net = sparsify(module.eval(), SIZE)
    with torch.inference_mode():
        found = net(x, net.grid.all(), net.new_cache())
        torch.testing.assert_close(found, module(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype is one of bfloat16, float32, not 'float16'"),
        ({"propagation": True}, "not True"),
        ({"propagation": None}, "not None"),
        ({"propagation": float("inf")}, "not inf"),
        ({"propagation": -0.5}, "not -0.5"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sparsify(NETS["groups of the image"](), SIZE, **options)


@pytest.mark.parametrize("mask", [None, np.ones((2, 3), bool)])
def test_a_mask_is_a_block_mask(mask):
    net = sparsify(NETS["groups of the image"](), SIZE)
    with pytest.raises(ValueError, match="what to compute is a BlockMask, not"):
        net(torch.zeros(1, 3, *SIZE), mask, net.new_cache())
