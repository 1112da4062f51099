"""A small network that segments synthetic streets: what `--model street` runs.

Trained by `python -m streamdyn.pipelines.train_street`; `street.toml` beside this file says how to
feed it. Plain convolutions only, so that every layer can run on blocks.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class _Conv(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class _Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class StreetNet(nn.Module):
    """Encoder to 1/32 of the size, decoder back to 1/2.

    Takes (N, 3, H, W), normalised as the card says, H and W multiples of 32; gives logits
    (N, classes, H/2, W/2).
    """

    def __init__(self, classes: int = 8) -> None:
        super().__init__()
        widths = (16, 32, 64, 96, 128)  # channels at 1/2, 1/4, 1/8, 1/16 and 1/32
        depths = (0, 1, 2, 2, 2)
        merged = (16, 32, 48, 64, 64)
        inputs = (3, *widths)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                _Conv(inputs[level], width, stride=2), *(_Residual(width) for _ in range(depth))
            )
            for level, (width, depth) in enumerate(zip(widths, depths, strict=True))
        )
        self.bridge = _Conv(widths[-1], merged[-1], kernel=1)
        levels = range(len(widths) - 1)
        self.lateral = nn.ModuleList(
            _Conv(widths[level], merged[level], kernel=1) for level in levels
        )
        self.merge = nn.ModuleList(
            _Conv(merged[level] + merged[level + 1], merged[level]) for level in levels
        )
        self.head = nn.Conv2d(merged[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        x = self.bridge(x)
        for level in reversed(range(len(self.merge))):
            lateral = self.lateral[level](maps[level])
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = self.merge[level](torch.cat([lateral, x], dim=1))
        logits: Tensor = self.head(x)
        return logits


def street() -> StreetNet:
    """The trained network, ready to run."""
    with as_file(files(__package__) / "street.pt") as path:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    network = StreetNet()
    network.load_state_dict(weights)  # from half precision
    return network.eval()
