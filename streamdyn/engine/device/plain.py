"""The plainest kernels on rows: operations of torch, on any device that it knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from streamdyn.engine import reference
from streamdyn.engine.graph import Activation, Affine, Binary, Op

GATHERED = 1 << 26  # numbers gathered at once: whole maps of many taps would fill the memory


class Plain:
    """See `Kernels`."""

    def product(
        self, x: Tensor, index: Tensor | None, weight: Tensor, bias: Tensor,
        residual: Tensor | None, activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """Gathered rows times `weight` (groups, taps * inputs, outputs): a convolution."""
        groups = len(weight)

        def multiply(taken: Tensor) -> Tensor:
            if groups == 1:
                return torch.addmm(bias, taken.flatten(1), weight[0])
            n, taps, channels = taken.shape
            grouped = taken.view(n, taps, groups, channels // groups).permute(2, 0, 1, 3)
            return torch.bmm(grouped.flatten(2), weight).transpose(0, 1).flatten(1) + bias

        found = multiply(x[:, None]) if index is None else by_parts(multiply, x, index)
        return _finish(found, residual, activation)

    def depthwise(
        self, x: Tensor, index: Tensor, weight: Tensor, bias: Tensor,
        residual: Tensor | None, activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """Gathered rows times `weight` (taps, channels), channel by channel."""
        numbers = weight.float()

        def multiply(taken: Tensor) -> Tensor:
            return ((taken.float() * numbers).sum(1) + bias).to(x.dtype)

        return _finish(by_parts(multiply, x, index), residual, activation)

    def pointwise(
        self, op: Affine | Activation | Binary, x: Tensor, other: Tensor | None,
        activation: Activation | None,
    ) -> Tensor:  # fmt: skip
        """An operation number by number; `other` is the second input, (n, channels) or (n, 1)."""
        inputs = [x] if other is None else [x, other]
        return _finish(by_reference(op, *inputs), None, activation)

    def put(self, rows: Tensor, index: Tensor, target: Tensor) -> None:
        """Copy rows to the rows `index` (n,) of `target`, in place."""
        target.index_copy_(0, index, rows)


def by_reference(op: Op, *rows: Tensor) -> Tensor:
    """What the reference makes of rows, taken for maps of one pixel each."""
    maps = [each[:, :, None, None] for each in rows]
    found: Tensor = reference.apply(op, maps, ())
    return found[:, :, 0, 0]


def by_parts(function: Callable[[Tensor], Tensor], x: Tensor, index: Tensor) -> Tensor:
    """A function of gathered rows (n, taps, channels), of so many pixels at a time as is wise."""
    pixels = max(1, GATHERED // max(1, index.shape[1] * x.shape[1]))
    parts = [function(gather(x, part)) for part in torch.split(index, pixels)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def gather(x: Tensor, index: Tensor) -> Tensor:
    """The rows of `x` that `index` (n, taps) names: (n, taps, channels)."""
    return x.index_select(0, index.flatten()).view(*index.shape, x.shape[1])


def _finish(x: Tensor, residual: Tensor | None, activation: Activation | None) -> Tensor:
    found = x if residual is None else x + residual
    if activation is not None:
        found = reference.apply(activation, [found], ())
    return found
