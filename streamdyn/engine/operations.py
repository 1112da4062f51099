"""What computes each operation on chosen pixels: one small function for each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cache import MEMORY, sums_of
from streamdyn.engine.cpu import elementwise, moves, reduce, windows
from streamdyn.engine.cpu.matmul import product
from streamdyn.engine.cpu.places import Steps
from streamdyn.engine.cpu.resize import Samples, bilinear
from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Channels,
    Concat,
    Conv,
    GlobalPool,
    Interleave,
    LayerNorm,
    Pad,
    Pool,
    Resize,
    Softmax,
)
from streamdyn.engine.operands import Operands
from streamdyn.engine.plan import Step, one_pixel
from streamdyn.engine.regions import Region
from streamdyn.engine.resampling import samples
from streamdyn.engine.weights import is_depthwise, runs_along_rows

Maker = Callable[[Operands, int, Step, Region], None]


def _conv(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Conv)
    value, (high, wide) = step.node.inputs[0], op.weight.shape[2:]
    if (high, wide, *op.stride, *op.padding) == (1, 1, 1, 1, 0, 0, 0, 0):
        sources = c.rows("a", value, region)
    else:
        sources = c.windows("a", value, region, op.stride, op.padding[:2])
    distances = c.taps(value, (high, wide), op.dilation)
    residual = None if step.residual is None else c.rows("r", step.residual, region)
    targets = c.targets(step.target, region)
    if is_depthwise(op):
        call = windows.depthwise(
            sources, distances.ravel(), c.weights.depthwise[number], targets,
            residual=residual, activation=step.activation, count=region.count,
        )  # fmt: skip
    else:
        packed = c.weights.packed[number]
        distances = distances[:, 0] if runs_along_rows(op) else distances.ravel()
        call = product(
            sources, np.ascontiguousarray(distances), packed, targets,
            residual=residual, activation=step.activation, count=region.count,
        )  # fmt: skip
    c.calls.append(call)


def _affine(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Affine)
    rows, targets = c.rows("a", step.node.inputs[0], region), c.targets(step.target, region)
    c.calls.append(
        elementwise.affine(
            rows, op.scale, op.shift, targets, c.dtype,
            activation=step.activation, count=region.count,
        )
    )  # fmt: skip


def _activation(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Activation)
    rows, targets = c.rows("a", step.node.inputs[0], region), c.targets(step.target, region)
    channels = c.plan.graph.shapes[step.target][1]
    c.calls.append(elementwise.activate(rows, op, targets, channels, c.dtype, count=region.count))


def _binary(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Binary)
    first, second = step.node.inputs
    shape, whole = c.plan.graph.shapes[second], c.plan.graph.shapes[step.target]
    rows, channels = c.rows("a", first, region), whole[1]
    if one_pixel(shape) and not one_pixel(whole):
        others = c.locate("r", region, MEMORY, Steps(c.storage.kept[second].offset, 0, 0))
    else:
        others = c.rows("r", second, region)
    c.calls.append(
        elementwise.binary(
            rows, others, op.kind, c.targets(step.target, region), channels, c.dtype,
            one_channel=shape[1] == 1 and channels > 1,
            activation=step.activation, count=region.count,
        )
    )  # fmt: skip


def _concat(c: Operands, number: int, step: Step, region: Region) -> None:
    first = 0
    for value in step.node.inputs:
        channels = c.plan.graph.shapes[value][1]
        rows = c.rows("a", value, region)
        targets = c.targets(step.target, region, first)
        c.calls.append(moves.copy(rows, targets, channels, c.dtype, count=region.count))
        first += channels


def _channels(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Channels)
    rows, targets = c.rows("a", step.node.inputs[0], region), c.targets(step.target, region)
    indices = op.indices.astype(np.int32)
    c.calls.append(moves.pick(rows, indices, targets, c.dtype, count=region.count))


def _layer_norm(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, LayerNorm)
    rows, targets = c.rows("a", step.node.inputs[0], region), c.targets(step.target, region)
    c.calls.append(
        reduce.layer_norm(
            rows, op.weight, op.bias, op.epsilon, targets, c.dtype, count=region.count
        )
    )


def _softmax(c: Operands, number: int, step: Step, region: Region) -> None:
    rows, targets = c.rows("a", step.node.inputs[0], region), c.targets(step.target, region)
    channels = c.plan.graph.shapes[step.target][1]
    c.calls.append(reduce.softmax(rows, targets, channels, c.dtype, count=region.count))


def _pool(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Pool)
    value = step.node.inputs[0]
    inside, out = c.plan.graph.shapes[value], c.plan.graph.shapes[step.target]
    sources = c.windows("a", value, region, op.stride, op.padding[:2])
    spans = [_spans(op, axis, inside[2 + axis], out[2 + axis]) for axis in (0, 1)]
    y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
    divisors = None
    if op.kind == "average":
        counted = [s[:, 2] if op.count_padding else s[:, 1] - s[:, 0] for s in spans]
        divisors = region.look_up((counted[0][y] * counted[1][x]).astype(np.float32))
    bounds = None
    if op.kind == "average" or not c.plan.never_negative(value):
        reach = np.concatenate([spans[0][y, :2], spans[1][x, :2]], axis=1)
        bounds = region.look_up(reach.astype(np.int32))
    c.calls.append(
        windows.pool(
            sources, c.taps(value, op.kernel, op.dilation), op.kind,
            c.targets(step.target, region), out[1], c.dtype,
            windows=bounds, divisors=divisors, count=region.count,
        )
    )  # fmt: skip


def _resize(c: Operands, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Resize)
    value, out = step.node.inputs[0], c.plan.graph.shapes[step.target]
    if op.mode == "nearest":
        rows, targets = c.nearest(value, out, region), c.targets(step.target, region)
        c.calls.append(moves.copy(rows, targets, out[1], c.dtype, count=region.count))
        return
    kept = c.storage.kept[value]
    y, x = (
        Samples(near.astype(np.int32), parts.astype(np.float32))
        for near, parts in (
            samples(op, inside, outside)
            for inside, outside in zip((kept.height, kept.width), out[2:], strict=True)
        )
    )
    targets = c.targets(step.target, region)
    bases = c.streams.bases(MEMORY)
    c.calls.append(bilinear(region.places, y, x, kept.steps(), bases, targets, out[1], c.dtype))


def _pad(c: Operands, number: int, step: Step, region: Region) -> None:
    op, value = step.node.op, step.node.inputs[0]
    assert isinstance(op, Pad)
    sources = c.windows("a", value, region, (1, 1), op.padding[:2])
    targets, channels = c.targets(step.target, region), c.plan.graph.shapes[value][1]
    c.calls.append(moves.copy(sources, targets, channels, c.dtype, count=region.count))


def _interleave(c: Operands, number: int, step: Step, region: Region) -> None:
    op, out = step.node.op, c.plan.graph.shapes[step.target]
    assert isinstance(op, Interleave)
    sources = c.interleaved(step.node.inputs, op.stride, out, region)
    targets = c.targets(step.target, region)
    c.calls.append(moves.copy(sources, targets, out[1], c.dtype, count=region.count))


def _spans(op: Pool, axis: int, inside: int, outside: int) -> NDArray[np.int64]:
    """For each window along an axis: its first tap on the map, the one after its last, and how
    many numbers an average that counts padding divides by. (n, 3)"""
    starts = np.arange(outside) * op.stride[axis] - op.padding[axis]
    places = starts[:, None] + np.arange(op.kernel[axis]) * op.dilation[axis]
    on_map = (places >= 0) & (places < inside)
    first = on_map.argmax(1)
    padded = places < inside + op.padding[axis + 2]
    return np.stack([first, first + on_map.sum(1), padded.sum(1)], 1)


def _global_pool(c: Operands, number: int, step: Step, region: Region) -> None:
    value = step.node.inputs[0]
    _, channels, height, width = c.plan.graph.shapes[value]
    totals = c.locate("a", region, sums_of(value), Steps(0, 0, 0))
    targets = c.targets(step.target, region)
    c.calls.append(
        reduce.read_totals(
            totals, 1 / (height * width), targets, channels, c.dtype, count=region.count
        )
    )


MAKERS: dict[type, Maker] = {
    Conv: _conv,
    Affine: _affine,
    Activation: _activation,
    Binary: _binary,
    Concat: _concat,
    Channels: _channels,
    LayerNorm: _layer_norm,
    Softmax: _softmax,
    Pool: _pool,
    Resize: _resize,
    Pad: _pad,
    Interleave: _interleave,
    GlobalPool: _global_pool,
}
"""What computes an operation on blocks. An operation that is not here runs dense."""
