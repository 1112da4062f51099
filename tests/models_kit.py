"""A network of colours: the red, green and blue of a pixel are the scores of its classes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamdyn import Frame

CODE = """
import torch


class Colours(torch.nn.Module):
    '''Scores the red, green and blue of each pixel; counts its calls.'''

    def __init__(self, gain=1.0):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 3, 1, bias=False)
        torch.nn.init.eye_(self.convolution.weight.data[:, :, 0, 0]).mul_(gain)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.convolution(x)


MODULE = Colours()


def colours(gain=1.0):
    return Colours(gain)


def number():
    return 3


def broken():
    raise RuntimeError("no such weights")


def odd(outputs, fit, classes):
    return outputs


def failing(outputs, fit, classes):
    return outputs[5]
"""


CARD = """
name = "colours"
task = "segmentation"
[input]
size = "source"
multiple = 8
[output]
postprocess = "argmax"
labels = ["red", "green", "blue"]
"""


def write_colours(folder: Path) -> Path:
    """Write the network, net.py:colours, and its card to a folder; return that."""
    (folder / "net.py").write_text(CODE, "utf-8")
    (folder / "net.toml").write_text(CARD, "utf-8")
    return folder


def frame(image: NDArray[np.uint8], index: int = 0, stream: str = "") -> Frame:
    return Frame.from_image(image, index=index, pts_seconds=index / 25, stream=stream)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
