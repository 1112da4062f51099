"""From the steps of a plan to functions that compute rows: one small function for each operation.

What an operation needs beside its inputs (tables, weights) is sent to the device once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamdyn.engine.device.cache import resident
from streamdyn.engine.device.kernels import Kernels
from streamdyn.engine.device.plain import by_parts, by_reference, gather
from streamdyn.engine.device.taps import (
    Size,
    averaged,
    needed,
    on_map,
    phase_taps,
    resize_taps,
    window_taps,
)
from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Conv,
    GlobalPool,
    Graph,
    Interleave,
    Op,
    Pad,
    Pool,
    Resize,
)
from streamdyn.engine.plan import Step
from streamdyn.engine.weights import is_depthwise


class Reads(Protocol):
    """What a step may read, at the pixels that it computes."""

    def at(self, table: Tensor) -> Tensor:
        """The rows of a table (pixels, ...) for these pixels."""

    def own(self, value: int) -> Tensor:
        """The rows (n, C) of a map at these pixels; of a map of one pixel, that one."""

    def beyond(self, value: int, table: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of a map, and which of them `table` names for these pixels: (n, taps)."""


Compute = Callable[[Reads], Tensor]


class Maker:
    """Makes the functions of the steps of a graph.

    Attributes:
        beyond: the maps that steps read at other pixels than those that they compute.
    """

    def __init__(self, graph: Graph, kernels: Kernels, like: Tensor) -> None:
        self.beyond: set[int] = set()
        self._graph, self._kernels, self._like = graph, kernels, like
        self._tables: dict[tuple[Any, ...], Tensor] = {}  # layers of one shape share one

    def make(self, step: Step) -> Compute:
        """The function of a step that does not run dense."""
        match step.node.op:
            case Conv() as op:
                return self._conv(step, op)
            case Pool() as op:
                return self._pool(step, op)
            case Resize() as op:
                return self._resize(step, op)
            case Pad() as op:
                return self._pad(step, op)
            case Interleave() as op:
                return self._interleave(step, op)
            case GlobalPool():
                return self._global_pool(step)
            case Affine() | Activation() | Binary() as op:
                return self._pointwise(step, op)
            case op:
                return self._by_reference(step, op)

    def _conv(self, step: Step, op: Conv) -> Compute:
        value, kernel = step.node.inputs[0], (op.weight.shape[2], op.weight.shape[3])
        apart, bias = is_depthwise(op), self._send(op.bias)
        weight = self._send(_by_channel(op) if apart else _by_group(op))
        compute = self._kernels.depthwise if apart else self._kernels.product

        def residual(reads: Reads) -> Tensor | None:
            return None if step.residual is None else reads.own(step.residual)

        if not apart and kernel == op.stride == (1, 1) and not any(op.padding):
            return lambda reads: self._kernels.product(
                reads.own(value), None, weight, bias, residual(reads), step.activation
            )
        table = self._windows(step, kernel, op)
        return lambda reads: compute(
            *reads.beyond(value, table), weight, bias, residual(reads), step.activation
        )

    def _pool(self, step: Step, op: Pool) -> Compute:
        value, table = step.node.inputs[0], self._windows(step, op.kernel, op)
        if op.kind == "max":
            return lambda reads: by_parts(lambda x: x.amax(1), *reads.beyond(value, table))
        counts = self._send(averaged(op, *self._sizes(step)), torch.float32)

        def average(reads: Reads) -> Tensor:
            sums = by_parts(lambda x: x.float().sum(1), *reads.beyond(value, table))
            return (sums / reads.at(counts)).to(self._like.dtype)

        return average

    def _resize(self, step: Step, op: Resize) -> Compute:
        value, sizes = step.node.inputs[0], self._sizes(step)
        self.beyond.add(value)
        numbers, shares = resize_taps(op, *sizes)
        table = self._tables.setdefault((op, *sizes), self._send(numbers))
        if op.mode == "nearest":
            return lambda reads: by_parts(lambda x: x[:, 0], *reads.beyond(value, table))
        parts = self._send(shares, torch.float32)

        def mix(reads: Reads) -> Tensor:
            x, index = reads.beyond(value, table)
            return torch.einsum("ntc,nt->nc", gather(x, index).float(), reads.at(parts)).to(x.dtype)

        return mix

    def _pad(self, step: Step, op: Pad) -> Compute:
        value = step.node.inputs[0]
        self.beyond.add(value)
        taps = window_taps(*self._sizes(step), (1, 1), (1, 1), op.padding[:2], (1, 1))
        table = self._send(taps)
        return lambda reads: by_parts(lambda x: x[:, 0], *reads.beyond(value, table))

    def _interleave(self, step: Step, op: Interleave) -> Compute:
        values = step.node.inputs
        self.beyond.update(values)
        numbers, phases = phase_taps(op, *self._sizes(step))
        table, phase = self._send(numbers), self._send(phases)

        def interleave(reads: Reads) -> Tensor:
            found = [gather(*reads.beyond(value, table)) for value in values]
            return torch.cat(found, 1).take_along_dim(reads.at(phase)[:, :, None], 1).flatten(1)

        return interleave

    def _global_pool(self, step: Step) -> Compute:
        value = step.node.inputs[0]
        self.beyond.add(value)
        pixels = np.arange(prod(self._graph.shapes[value][2:]), dtype=np.int32)
        table = self._tables.setdefault((GlobalPool, len(pixels)), self._send(pixels[None]))

        def mean(reads: Reads) -> Tensor:
            found = by_parts(lambda x: x.float().mean(1), *reads.beyond(value, table))
            return found.to(self._like.dtype)

        return mean

    def _pointwise(self, step: Step, op: Affine | Activation | Binary) -> Compute:
        first, *others = step.node.inputs
        moved = resident(op, self._like)

        def compute(reads: Reads) -> Tensor:
            other = reads.own(others[0]) if others else None
            return self._kernels.pointwise(moved, reads.own(first), other, step.activation)

        return compute

    def _by_reference(self, step: Step, op: Op) -> Compute:
        moved = resident(op, self._like)
        return lambda reads: by_reference(moved, *map(reads.own, step.node.inputs))

    def _windows(self, step: Step, kernel: Size, op: Conv | Pool) -> Tensor:
        """The table of the windows of a step."""
        self.beyond.add(step.node.inputs[0])
        key = op.kind if isinstance(op, Pool) else ""
        shape = *self._sizes(step), kernel, op.stride, op.padding[:2], op.dilation
        if (shape, key) not in self._tables:
            table = window_taps(*shape)
            table = needed(table, shape[0]) if isinstance(op, Pool) else table
            table = on_map(table, shape[0]) if key == "max" else table
            self._tables[shape, key] = self._send(table)
        return self._tables[shape, key]

    def _sizes(self, step: Step) -> tuple[Size, Size]:
        """(height, width) of the map that a step reads and of the one that it makes."""
        inside, outside = (self._graph.shapes[v] for v in (step.node.inputs[0], step.target))
        return (inside[2], inside[3]), (outside[2], outside[3])

    def _send(self, numbers: NDArray[Any], dtype: torch.dtype | None = None) -> Tensor:
        """Numbers on the device; those that are not integers in the dtype of rows, or another."""
        if numbers.dtype.kind == "f":
            dtype = dtype or self._like.dtype
        return torch.from_numpy(np.ascontiguousarray(numbers)).to(self._like.device, dtype)


def _by_channel(op: Conv) -> NDArray[np.float32]:
    """The weights of a depthwise convolution: (taps, channels)."""
    return op.weight.reshape(len(op.weight), -1).T


def _by_group(op: Conv) -> NDArray[np.float32]:
    """The weights of a convolution: (groups, taps * inputs, outputs)."""
    outputs, inputs, high, wide = op.weight.shape
    grouped = op.weight.reshape(op.groups, outputs // op.groups, inputs, high * wide)
    by_tap = grouped.transpose(0, 3, 2, 1)
    return by_tap.reshape(op.groups, high * wide * inputs, outputs // op.groups)
