"""Capture of convolutions, and of linear layers, which are convolutions of kernel 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from streamdyn.engine.capture.builder import Builder, Handle, NotOnMaps, need_constants
from streamdyn.engine.capture.dense import Pending
from streamdyn.engine.capture.layout import CHANNELS, Laid
from streamdyn.engine.graph import Conv, ConvTranspose, Floats, Sides

aten = torch.ops.aten

Pair = Sequence[int]


def pair(numbers: Pair) -> tuple[int, int]:
    """Vertical and horizontal, which may be given as one."""
    return numbers[0], numbers[-1]


def _floats(tensor: torch.Tensor) -> Floats:
    found: Floats = tensor.contiguous().numpy()
    return found


def _weights(weight: Any, bias: Any, outputs: int) -> tuple[Floats, Floats]:
    need_constants(weight, bias)
    return _floats(weight), np.zeros(outputs, np.float32) if bias is None else _floats(bias)


def conv2d(
    b: Builder,
    x: Handle,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair | str = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Laid:
    numbers = _weights(weight, bias, weight.shape[0])
    if isinstance(padding, str):
        sides = _same(pair(weight.shape[2:]), pair(dilation)) if padding == "same" else (0, 0, 0, 0)
    else:
        sides = _sides(padding)
    op = Conv(*numbers, pair(stride), sides, pair(dilation), groups)
    return b.map(op, [b.image(x).value], b.shape)


def _sides(padding: Pair) -> Sides:
    return (*pair(padding), *pair(padding))


def _same(kernel: tuple[int, int], dilation: tuple[int, int]) -> Sides:
    """The padding that keeps the size; an odd pixel goes to the bottom and the right."""
    y, x = (step * (size - 1) for size, step in zip(kernel, dilation, strict=True))
    return y // 2, x // 2, y - y // 2, x - x // 2


def conv_transpose2d(
    b: Builder,
    x: Handle,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    output_padding: Pair = (0, 0),  # it shows in the shape of the output
    groups: int = 1,
    dilation: Pair = (1, 1),
) -> Laid:
    numbers = _weights(weight, bias, weight.shape[1] * groups)
    op = ConvTranspose(*numbers, pair(stride), pair(padding), pair(dilation), groups)
    return b.map(op, [b.image(x).value], b.shape)


def pixel_shuffle(b: Builder, x: Handle, factor: int) -> Laid:
    """Channels to pixels, as a transposed convolution of ones and zeros."""
    outputs, window = b.shape[CHANNELS], factor * factor
    weight = np.tile(_one_hot(factor), (outputs, 1, 1, 1)).reshape(-1, 1, factor, factor)
    op = ConvTranspose(
        weight, np.zeros(outputs, np.float32), (factor, factor), groups=x.shape[1] // window
    )
    return b.map(op, [b.image(x).value], b.shape)


def pixel_unshuffle(b: Builder, x: Handle, factor: int) -> Laid:
    """Pixels to channels, as a convolution of ones and zeros."""
    weight = np.tile(_one_hot(factor), (x.shape[1], 1, 1, 1))
    bias = np.zeros(len(weight), np.float32)
    op = Conv(weight, bias, (factor, factor), groups=x.shape[1])
    return b.map(op, [b.image(x).value], b.shape)


def _one_hot(side: int) -> Floats:
    """(side * side, 1, side, side): each window position alone."""
    return np.eye(side * side, dtype=np.float32).reshape(-1, 1, side, side)


def linear(b: Builder, x: Handle, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Laid:
    """A linear layer over the channels: a convolution of kernel 1."""
    matrix, shift = _weights(weight, bias, weight.shape[0])
    if matrix.ndim != 2:
        raise NotOnMaps
    x = b.with_channels_at(x, -1)
    layout = x.layout.with_channels(len(x.shape) - 1, len(matrix))
    return b.laid(Conv(matrix[:, :, None, None], shift), [x.value], layout)


def matmul(b: Builder, x: Handle, weight: torch.Tensor) -> Laid:
    if not isinstance(x, (Laid, Pending)) or not isinstance(weight, torch.Tensor):
        raise NotOnMaps
    if weight.ndim != 2:
        raise NotOnMaps
    return linear(b, x, weight.T)


def addmm(
    b: Builder,
    bias: torch.Tensor,
    x: Handle,
    weight: torch.Tensor,
    *,
    beta: float = 1,
    alpha: float = 1,
) -> Laid:
    if not isinstance(bias, torch.Tensor) or bias.ndim != 1 or (alpha, beta) != (1, 1):
        raise NotOnMaps
    return b.affine(matmul(b, x, weight), 1.0, bias.numpy())


CONVOLUTIONS: Mapping[Any, Callable[..., Any]] = {
    aten.conv2d.default: conv2d,
    aten.conv2d.padding: conv2d,
    aten.conv_transpose2d.input: conv_transpose2d,
    aten.pixel_shuffle.default: pixel_shuffle,
    aten.pixel_unshuffle.default: pixel_unshuffle,
    aten.linear.default: linear,
    aten.matmul.default: matmul,
    aten.mm.default: matmul,
    aten.addmm.default: addmm,
}
