"""A network as a graph of known operations: what capture gives, and everything else works on.

A *map* is a value of shape (1, C, H, W); other values have any shape. Operations on maps say what
one output pixel depends on, so that they can run on chosen pixels alone; `Dense` is whatever
cannot, and runs on whole values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Sides = tuple[int, int, int, int]  # top, left, bottom, right, in pixels

ActivationKind = Literal[
    "clip", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "gelu", "gelu_tanh",
    "leaky_relu", "elu", "mish", "softplus",
]  # fmt: skip
BinaryKind = Literal["add", "subtract", "multiply", "divide", "maximum", "minimum"]


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """Convolution; a linear layer over channels is one of kernel 1."""

    weight: Floats  # (O, I / groups, kernel height, kernel width)
    bias: Floats  # (O,)
    stride: tuple[int, int] = (1, 1)  # y, x
    padding: Sides = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose:
    """Transposed convolution; the size of the output is its value's shape. See `lower`."""

    weight: Floats  # (I, O / groups, kernel height, kernel width)
    bias: Floats  # (O,)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)  # of the top and left: what is cut off
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """x * scale + shift, per channel: batch norm, layer scale, constants."""

    scale: Floats  # (C,)
    shift: Floats  # (C,)


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of each number. ReLU is "clip" at 0 and infinity."""

    kind: ActivationKind
    low: float = -np.inf  # of "clip"
    high: float = np.inf
    slope: float = 0.01  # of "leaky_relu", alpha of "elu"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two inputs, number by number: maps of one shape, or the second is (1, C, 1, 1) or
    (1, 1, H, W)."""

    kind: BinaryKind


@dataclass(frozen=True, slots=True)
class Concat:
    """The channels of all inputs, one after another."""


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """Some channels of the input, in a given order: split, chunk, shuffle."""

    indices: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pool:
    """Maximum or average over windows. Padding never wins a maximum."""

    kind: Literal["max", "average"]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Sides = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    count_padding: bool = True  # whether an average counts the zeros of `padding`


@dataclass(frozen=True, slots=True)
class Resize:
    """Another resolution; the size of the output is its value's shape."""

    mode: Literal["nearest", "bilinear"]
    align_corners: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LayerNorm:
    """Normalises the channels of each pixel, then `* weight + bias`."""

    weight: Floats  # (C,)
    bias: Floats  # (C,)
    epsilon: float = 1e-5


@dataclass(frozen=True, slots=True)
class Softmax:
    """Over the channels of each pixel."""


@dataclass(frozen=True, slots=True)
class Pad:
    """A border of a constant value around a map; a negative side is cut off instead."""

    padding: Sides
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Interleave:
    """Pixel (y, x) is pixel (y // rows, x // columns) of input (y % rows) * columns + x % columns;
    the size of the output is its value's shape."""

    stride: tuple[int, int]  # rows, columns: as many inputs as their product


@dataclass(frozen=True, slots=True)
class GlobalPool:
    """The mean of each channel over all pixels: (1, C, 1, 1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A map that does not depend on the image: position embeddings. It has no inputs."""

    value: Floats  # (1, C, H, W)


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Anything else: `function(*inputs)` on whole torch tensors, one tensor or a tuple of them.

    Floating point tensors are float32, in and out, whatever the rest is computed in. A function
    that holds numbers of its own is a `torch.nn.Module`, which can be moved to a device.
    """

    function: Callable[..., Any]
    what: str  # the operation, for people
    macs: int = 0  # multiply-accumulates


Op = (
    Conv | ConvTranspose | Affine | Activation | Binary | Concat | Channels | Pool | Resize
    | LayerNorm | Softmax | Pad | Interleave | GlobalPool | Constant | Dense
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation on values, which are numbers that index `Graph.shapes`."""

    name: str  # of the layer, as the model calls it
    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]  # one, but for a `Dense` that returns a tuple


@dataclass(slots=True)
class Graph:
    """Nodes in the order of computation. Value 0 is the image (1, 3, H, W)."""

    nodes: list[Node]
    shapes: list[tuple[int, ...]]  # of each value
    outputs: tuple[int, ...]  # the values that the network returns
    output_names: tuple[str, ...]
    views: tuple[Callable[[Any], Any], ...]
    """From each value of `outputs` to the tensor it stands for: a map may be returned as tokens, or
    without its axes of size 1. These only reshape and permute."""
    rebuild: Callable[[tuple[Any, ...]], Any] = field(default=tuple)
    """From the tensors that `views` give to what the captured model returns."""


def windows(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """How many windows lie along an axis of `size` pixels, padded `before` and `after`."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
