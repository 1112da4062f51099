"""Kernels on rows in Triton, for CUDA devices; what is not here is computed as in `plain`."""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

from streamdyn.engine.device import triton_programs as programs
from streamdyn.engine.device.plain import Plain
from streamdyn.engine.graph import Activation, Affine, Binary


class Triton(Plain):
    """See `Kernels`.

    Args:
        pixels: along the side of a tile: a power of two.
    """

    def __init__(self, pixels: int = 32) -> None:
        self._pixels = pixels

    def product(
        self, x: Tensor, index: Tensor | None, weight: Tensor, bias: Tensor,
        residual: Tensor | None, activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """Gathered rows times `weight` (groups, taps * inputs, outputs): a convolution."""
        if len(weight) > 1:
            return super().product(x, index, weight, bias, residual, activation)
        outputs, taps = weight.shape[2], 1 if index is None else index.shape[1]
        n = len(x) if index is None else len(index)
        out, deep = x.new_empty(n, outputs), _tile(x.shape[1], 64)
        self._launch(
            programs.product, out, _tile(outputs, 128),
            x, x if index is None else index, weight, bias, out if residual is None else residual,
            out, n, x.shape[1], taps, outputs, index is not None, residual is not None,
            *_activation(activation), deep=deep,
        )  # fmt: skip
        return out

    def depthwise(
        self, x: Tensor, index: Tensor, weight: Tensor, bias: Tensor,
        residual: Tensor | None, activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """Gathered rows times `weight` (taps, channels), channel by channel."""
        taps, channels = weight.shape
        out = x.new_empty(len(index), channels)
        self._launch(
            programs.depthwise, out, _tile(channels, 64),
            x, index, weight, bias, out if residual is None else residual,
            out, len(index), channels, taps, residual is not None, *_activation(activation),
        )  # fmt: skip
        return out

    def pointwise(
        self, op: Affine | Activation | Binary, x: Tensor, other: Tensor | None,
        activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """An operation number by number; `other` is the second input, (n, channels) or (n, 1)."""
        n, channels = x.shape
        out, shift, combine = torch.empty_like(x), x, ""
        steps = (0, 0)  # of `other`: from pixel to pixel, and from channel to channel
        match op:
            case Affine():
                other, shift = torch.as_tensor(op.scale), torch.as_tensor(op.shift)
                combine, steps = "multiply", (0, 1)
            case Binary() if other is not None:
                combine, steps = op.kind, (other.shape[1], int(other.shape[1] == channels))
            case Activation():
                activation = op
        self._launch(
            programs.pointwise, out, _tile(channels, 64),
            x, x if other is None else other, *steps, shift, out, n, channels,
            combine, isinstance(op, Affine), *_activation(activation),
        )  # fmt: skip
        return out

    def put(self, rows: Tensor, index: Tensor, target: Tensor) -> None:
        """Copy rows to the rows `index` (n,) of `target`, in place."""
        self._launch(programs.put, rows, _tile(rows.shape[1], 64), rows, index, target, *rows.shape)

    def _launch(self, program: Any, rows: Tensor, wide: int, *arguments: Any, **sizes: int) -> None:
        """Run a program on the tiles of rows (n, channels), so many channels wide."""
        n, channels = rows.shape
        if rows.numel():
            grid = triton.cdiv(n, self._pixels), triton.cdiv(channels, wide)
            with torch.cuda.device(rows.get_device()):
                program[grid](*arguments, pixels=self._pixels, wide=wide, **sizes)


def interpreted() -> bool:
    """Whether kernels run on the CPU, for tests."""
    return isinstance(programs.put, InterpretedFunction)


def _tile(channels: int, most: int) -> int:
    """How many channels a tile takes: a power of two, and no less than a product can have."""
    return min(max(1 << (channels - 1).bit_length(), 16), most)


def _activation(op: Activation | None) -> tuple[str, float, float, float]:
    return ("", 0.0, 0.0, 0.0) if op is None else (op.kind, op.low, op.high, op.slope)
