"""What the engine leaves out or joins must not show in what it computes."""

import numpy as np
import pytest
import torch
from torch import nn

from streamdyn import BlockMask, sparsify
from streamdyn.engine.cpu import chains


def whole(net, x, cache):
    return next(iter(net.tensors(x, net.grid.all(), cache).values())).clone()


@pytest.mark.parametrize("size", [(64, 96), (75, 61)])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Identity, nn.Sigmoid])
@pytest.mark.parametrize("pool", [nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, 2, ceil_mode=True)])
def test_zeros_of_a_border_win_no_maximum(size, activation, pool):
    """Windows beyond a map are looked at whole where nothing is below 0, and only there."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), activation(), pool, nn.Conv2d(8, 4, 1)).eval()
    with torch.no_grad():
        module[0].bias -= 3  # most of the map is negative, or cut off
    x = torch.randn(1, 3, *size)
    net = sparsify(module, size, block=16)
    with torch.inference_mode():
        torch.testing.assert_close(whole(net, x, net.new_cache()), module(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_joined_products_compute_the_same(monkeypatch, dtype):
    """A reduction that follows an expansion is computed with each piece of it."""
    torch.manual_seed(0)

    class Bottlenecks(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 32, 3, 2, 1)
            self.expand = nn.ModuleList(nn.Conv2d(32, 96, 1) for _ in range(2))
            self.reduce = nn.ModuleList(nn.Conv2d(96, 32, 1) for _ in range(2))
            self.middle = nn.Conv2d(32, 32, 3, 1, 1)

        def forward(self, x):
            x = torch.relu(self.stem(x))
            wide = torch.relu(self.expand[0](x))
            x = self.middle(torch.relu(self.reduce[0](wide)))
            wide = torch.relu(self.expand[1](x) + wide)
            return self.middle(torch.relu(self.reduce[1](wide)))

    module, x = Bottlenecks().eval(), torch.randn(1, 3, 96, 128)
    joined = sparsify(module, (96, 128), dtype=dtype)
    found: list[int] = []

    def counted(calls):
        together = chains.chained(calls)
        found.append(sum(call.joined > 0 for call in together))
        assert len(together) == len(calls)
        return together

    monkeypatch.setattr("streamdyn.engine.propagation.whole.chained", counted)
    cache = joined.new_cache()
    monkeypatch.setattr("streamdyn.engine.propagation.whole.chained", lambda calls: calls)
    apart = sparsify(module, (96, 128), dtype=dtype)
    other = apart.new_cache()
    assert found == [2]
    assert chains.MANY < 48 * 64  # pixels: enough to join
    assert torch.equal(whole(joined, x, cache), whole(apart, x, other))
    few = BlockMask(joined.grid, np.arange(12).reshape(3, 4) == 5)  # too few to join
    y = torch.randn(1, 3, 96, 128)
    assert torch.equal(joined(y, few, cache), apart(y, few, other))
