"""What tests of the engine share: a network of all that runs on blocks, images, and masks."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from streamdyn import BlockMask
from streamdyn.engine.capture.module import capture
from streamdyn.engine.simplify import simplify

SIZE = (96, 128)


class Everything(nn.Module):
    """One small network with each operation that runs on blocks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.depthwise = nn.Conv2d(12, 12, 5, 1, 2, groups=12)
        self.grouped = nn.Conv2d(12, 24, 3, 1, 1, groups=4)
        self.dilated = nn.Conv2d(24, 20, 3, 1, 4, dilation=4)
        self.squeeze = nn.Conv2d(20, 5, 1)
        self.excite = nn.Conv2d(5, 20, 1)
        self.norm = nn.LayerNorm(20)
        self.down = nn.Conv2d(20, 33, 1, 2)
        self.head = nn.Conv2d(53, 7, 1)
        self.label = nn.Linear(7, 4)

    def forward(self, x):
        x = self.stem(x)
        x = nn.functional.silu(self.depthwise(x)) + x
        first, second = self.grouped(x).chunk(2, 1)
        x = torch.cat([second, first.sigmoid()], 1)
        x = x.view(1, 2, 12, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
        x = nn.functional.gelu(self.dilated(x))
        scale = self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        x = x * scale
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        low = self.down(nn.functional.max_pool2d(x, 3, 2, 1)).clamp(-1, 1)
        low = nn.functional.interpolate(low, x.shape[2:], mode="bilinear")
        near = nn.functional.avg_pool2d(nn.functional.interpolate(x, scale_factor=2), 2)
        maps = self.head(torch.cat([low, near], 1)).softmax(1)
        return {"maps": maps, "label": self.label(maps.mean((2, 3)))}


def everything():
    """The graph of that network, with the weights that this seed gives."""
    torch.manual_seed(0)
    return simplify(capture(Everything().eval(), SIZE))


def masks(grid):
    """Masks from a seed: nothing, some and all."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        density = rng.choice([0, 0.1, 0.5, 1])
        return BlockMask(grid, rng.random(grid.shape) < density)

    return st.integers(0, 10**6).map(draw)


def image(seed, size=SIZE):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def same(found, expected, tolerance=1e-4):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(b.abs().max()))


def flat(output):
    return [output["maps"].clone(), output["label"].clone()]


def random_mask(grid, seed, density=0.4):
    return BlockMask(grid, np.random.default_rng(seed).random(grid.shape) < density)
