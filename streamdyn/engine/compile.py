"""From the steps of a plan to the calls of kernels that compute them.

`Compiler` has a small function for each operation. It turns every operand into an array of row
addresses, which calls before the kernel's own fill in, so that a whole network is one program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cache import IMAGE, MEMORY, output_of, sums_of
from streamdyn.engine.cpu import elementwise, image, moves, reduce, windows
from streamdyn.engine.cpu.crew import Call
from streamdyn.engine.cpu.matmul import Packed, pack, product
from streamdyn.engine.cpu.rows import ROW_BYTES, Addresses, RowType
from streamdyn.engine.cpu.windows import PackedDepthwise, pack_depthwise
from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Channels,
    Concat,
    Conv,
    LayerNorm,
    Pool,
    Resize,
    Softmax,
)
from streamdyn.engine.plan import Plan, Step, is_map
from streamdyn.engine.regions import Region
from streamdyn.engine.storage import IMAGE_CHANNELS, KeptMap, Storage


class Weights:
    """The packed weights of a plan's convolutions: made once, whatever the number of streams."""

    def __init__(self, plan: Plan, dtype: RowType) -> None:
        self.packed: dict[int, Packed] = {}
        self.depthwise: dict[int, PackedDepthwise] = {}
        for number, step in enumerate(plan.steps):
            op = step.node.op
            if step.dense or not isinstance(op, Conv):
                continue
            if is_depthwise(op):
                by_tap = np.ascontiguousarray(op.weight.reshape(len(op.weight), -1).T)
                self.depthwise[number] = pack_depthwise(by_tap, op.bias, dtype)
            else:
                self.packed[number] = _pack(op, step.node.inputs[0] == 0, dtype)


def is_depthwise(op: Conv) -> bool:
    """Whether each channel is convolved on its own."""
    return op.groups > 1 and op.weight.shape[0] == op.groups and op.weight.shape[1] == 1


def _pack(op: Conv, of_image: bool, dtype: RowType) -> Packed:
    channels, inputs, high, wide = op.weight.shape
    weight = op.weight.reshape(op.groups, channels // op.groups, inputs, high, wide)
    if of_image:
        weight = np.pad(weight, [(0, 0), (0, 0), (0, IMAGE_CHANNELS - inputs), (0, 0), (0, 0)])
        inputs = IMAGE_CHANNELS
    by_tap = weight.transpose(0, 3, 4, 2, 1)  # (groups, high, wide, inputs, channels)
    taps = (high, wide * inputs) if _runs_along_rows(op) else (high * wide, inputs)
    shaped = by_tap.reshape(op.groups, *taps, channels // op.groups)
    return pack(np.ascontiguousarray(shaped), op.bias, dtype)


def _runs_along_rows(op: Conv) -> bool:
    """Whether the weights of a kernel's row read numbers that lie one after another."""
    return op.groups == 1 and (op.dilation[1] == 1 or op.weight.shape[3] == 1)


@dataclass(slots=True)
class Compiler:
    """Makes the calls of steps, for regions of a certain capacity."""

    plan: Plan
    storage: Storage
    weights: Weights
    dtype: RowType
    regions: Mapping[int, Region]  # of each map
    scratch: NDArray[np.uint8]  # of the packed maps
    packed: Mapping[int, int]  # where each of them lies in the scratch memory, in bytes
    fresh: bool = False  # whether a step writes to the scratch memory, to be taken over afterwards
    calls: list[Call] = field(default_factory=list)
    _addresses: dict[tuple[str, int], Addresses] = field(default_factory=dict)

    def step(self, number: int) -> None:
        """Add the calls of a step."""
        step = self.plan.steps[number]
        region = self.regions[step.target]
        pooled = self.plan.pooled(step.target) and not self.fresh
        if pooled:
            self._add_up(step.target, region, -1.0)
        _MAKERS[type(step.node.op)](self, number, step, region)
        if pooled:
            self._add_up(step.target, region, 1.0)

    def load_image(self) -> None:
        """Add the calls that take over the chosen pixels of the image, given as planes."""
        region, kept = self.regions[0], self.storage.kept[0]
        size = kept.height * kept.width
        sources = self._locate("a", region, IMAGE, region.numbers, 4)
        self.calls.append(
            image.load_planes(
                sources, 4 * size, self._targets(0, region), 3, self.dtype, count=region.count
            )
        )

    def take_calls(self) -> list[Call]:
        """The calls that were added since this was last asked."""
        calls, self.calls = self.calls, []
        return calls

    def compare(self, value: int, differences: NDArray[np.float32]) -> None:
        """Add the calls that compare fresh rows with the kept ones."""
        region = self.regions[value]
        fresh, kept = self._fresh_rows("a", value, region), self._rows("r", value, region)
        channels = self.storage.kept[value].channels
        self.calls.append(
            reduce.difference(fresh, kept, differences, channels, self.dtype, count=region.count)
        )

    def take_over(self, value: int, passed: Region, chosen: NDArray[np.int32]) -> None:
        """Add the calls that copy some fresh rows to the kept map, and all that follows from it.

        Args:
            passed: the pixels to take over.
            chosen: which of the fresh rows they are.
        """
        pooled = self.plan.pooled(value)
        if pooled:
            self._add_up(value, passed, -1.0)
        fresh = self._fresh_rows("a", value, passed, chosen)
        channels = self.storage.kept[value].channels
        targets = self._rows("t", value, passed)
        self.calls.append(moves.copy(fresh, targets, channels, self.dtype, count=passed.count))
        if pooled:
            self._add_up(value, passed, 1.0)
        if value in self.plan.graph.outputs:
            self.store_output(value, passed)

    def store_output(self, value: int, region: Region | None = None) -> None:
        """Add the calls that write the chosen pixels of a map to the planes that are returned."""
        region = region or self.regions[value]
        _, channels, height, width = self.plan.graph.shapes[value]
        sources = self._rows("a", value, region)
        targets = self._locate("t", region, output_of(value), region.numbers, 4)
        self.calls.append(
            image.store_planes(
                sources, targets, 4 * height * width, channels, self.dtype, count=region.count
            )
        )

    def _add_up(self, value: int, region: Region, factor: float) -> None:
        rows = self._rows("a", value, region)
        totals = region.bases(sums_of(value))
        channels = self.plan.graph.shapes[value][1]
        self.calls.append(
            reduce.add_up(rows, factor, totals, channels, self.dtype, count=region.count)
        )

    def _locate(
        self, role: str, region: Region, base: str, indices: NDArray[np.int32], row_bytes: int,
        offset: int = 0,
    ) -> Addresses:  # fmt: skip
        """Addresses of rows of something that each stream has: its base + index * row_bytes."""
        return self._fill(role, region, region.bases(base), indices, row_bytes, offset)

    def _fill(
        self, role: str, region: Region, bases: Addresses, indices: NDArray[np.int32],
        row_bytes: int, offset: int,
    ) -> Addresses:  # fmt: skip
        """Add the call that computes addresses, and return where it writes them.

        The array is used again by the next step: calls run one after another.
        """
        key = role, len(indices)
        if key not in self._addresses:
            self._addresses[key] = np.zeros(len(indices), np.int64)
        targets = self._addresses[key]
        self.calls.append(
            moves.addresses(
                bases, indices, targets, row_bytes=row_bytes, offset=offset, count=region.count
            )
        )
        return targets

    def _rows(self, role: str, value: int, region: Region, channel: int = 0) -> Addresses:
        """The rows of a map at the pixels of a region of its own resolution, from a channel on."""
        shift = channel * ROW_BYTES[self.dtype]
        kept = self.storage.kept.get(value)
        if kept is not None:
            y, x = np.divmod(np.arange(kept.height * kept.width), kept.width)
            indices = region.look_up(kept.index(y, x))
            return self._locate(role, region, MEMORY, indices, kept.row_bytes, kept.offset + shift)
        row_bytes = self.plan.graph.shapes[value][1] * ROW_BYTES[self.dtype]
        base = self.scratch.__array_interface__["data"][0] + self.packed[value]
        bases = np.array([base], np.int64)  # one for all pixels
        return self._fill(role, region, bases, region.order, row_bytes, shift)

    def _several_rows(self, kept: KeptMap, region: Region, index: NDArray[np.int32]) -> Addresses:
        """Several rows of a kept map for each pixel (n, k): (capacity, k) addresses."""
        several = index.shape[1]
        rows = np.zeros((region.capacity, several), np.int64)
        self.calls.append(
            moves.addresses(
                region.bases(MEMORY, several), region.look_up(index).ravel(), rows.ravel(),
                row_bytes=kept.row_bytes, offset=kept.offset, count=region.counts(several),
            )
        )  # fmt: skip
        return rows

    def _targets(self, value: int, region: Region, channel: int = 0) -> Addresses:
        """The rows that a step writes."""
        if self.fresh:
            return self._fresh_rows("t", value, region, None, channel)
        return self._rows("t", value, region, channel)

    def _fresh_rows(
        self, role: str, value: int, region: Region, order: NDArray[np.int32] | None = None,
        channel: int = 0,
    ) -> Addresses:  # fmt: skip
        """The rows of a map that were just computed, one after another in the scratch memory."""
        bases = np.array([self.scratch.__array_interface__["data"][0]], np.int64)
        size = ROW_BYTES[self.dtype]
        row_bytes = self.storage.kept[value].channels * size
        order = region.order if order is None else order
        return self._fill(role, region, bases, order, row_bytes, channel * size)

    def _windows(
        self, role: str, value: int, out: tuple[int, ...], region: Region,
        stride: tuple[int, int], before: tuple[int, int],
    ) -> Addresses:  # fmt: skip
        """The rows at the upper left corners of the windows of a region's pixels."""
        kept = self.storage.kept[value]
        y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
        index = kept.index(y * stride[0] - before[0], x * stride[1] - before[1])
        return self._locate(
            role, region, MEMORY, region.look_up(index), kept.row_bytes, kept.offset
        )


def taps(kept: KeptMap, kernel: tuple[int, int], dilation: tuple[int, int]) -> NDArray[np.int64]:
    """How far from the first weight's row the row of each lies: (high, wide), in bytes."""
    y = np.arange(kernel[0])[:, None] * dilation[0] * kept.pitch
    x = np.arange(kernel[1]) * dilation[1]
    return np.ascontiguousarray(((y + x) * kept.row_bytes).astype(np.int64))


Maker = Callable[[Compiler, int, Step, Region], None]


def _conv(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Conv)
    value = step.node.inputs[0]
    kept = c.storage.kept.get(value)
    high, wide = op.weight.shape[2:]
    if kept is None:  # a kernel of one pixel on a packed map
        sources = c._rows("a", value, region)
        distances = np.zeros((1, 1), np.int64)
    else:
        out = c.plan.graph.shapes[step.node.outputs[0]]
        sources = c._windows("a", value, out, region, op.stride, op.padding[:2])
        distances = taps(kept, (high, wide), op.dilation)
    residual = None if step.residual is None else c._rows("r", step.residual, region)
    targets = c._targets(step.target, region)
    if is_depthwise(op):
        call = windows.depthwise(
            sources, distances.ravel(), c.weights.depthwise[number], targets,
            residual=residual, activation=step.activation, count=region.count,
        )  # fmt: skip
    else:
        packed = c.weights.packed[number]
        distances = distances[:, 0] if _runs_along_rows(op) else distances.ravel()
        call = product(
            sources, np.ascontiguousarray(distances), packed, targets,
            residual=residual, activation=step.activation, count=region.count,
        )  # fmt: skip
    c.calls.append(call)


def _affine(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Affine)
    rows, targets = c._rows("a", step.node.inputs[0], region), c._targets(step.target, region)
    c.calls.append(
        elementwise.affine(
            rows, op.scale, op.shift, targets, c.dtype,
            activation=step.activation, count=region.count,
        )
    )  # fmt: skip


def _activation(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Activation)
    rows, targets = c._rows("a", step.node.inputs[0], region), c._targets(step.target, region)
    channels = c.plan.graph.shapes[step.target][1]
    c.calls.append(elementwise.activate(rows, op, targets, channels, c.dtype, count=region.count))


def _binary(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Binary)
    first, second = step.node.inputs
    shape = c.plan.graph.shapes[second]
    rows = c._rows("a", first, region)
    if is_map(shape):
        others = c._rows("r", second, region)
    else:
        others = c._locate("r", region, MEMORY, region.order, 0, c.storage.vectors[second])
    channels = c.plan.graph.shapes[step.target][1]
    c.calls.append(
        elementwise.binary(
            rows, others, op.kind, c._targets(step.target, region), channels, c.dtype,
            one_channel=shape[1] == 1 and channels > 1,
            activation=step.activation, count=region.count,
        )
    )  # fmt: skip


def _concat(c: Compiler, number: int, step: Step, region: Region) -> None:
    first = 0
    for value in step.node.inputs:
        channels = c.plan.graph.shapes[value][1]
        rows = c._rows("a", value, region)
        targets = c._targets(step.target, region, first)
        c.calls.append(moves.copy(rows, targets, channels, c.dtype, count=region.count))
        first += channels


def _channels(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Channels)
    rows, targets = c._rows("a", step.node.inputs[0], region), c._targets(step.target, region)
    indices = op.indices.astype(np.int32)
    c.calls.append(moves.pick(rows, indices, targets, c.dtype, count=region.count))


def _layer_norm(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, LayerNorm)
    rows, targets = c._rows("a", step.node.inputs[0], region), c._targets(step.target, region)
    c.calls.append(
        reduce.layer_norm(
            rows, op.weight, op.bias, op.epsilon, targets, c.dtype, count=region.count
        )
    )


def _softmax(c: Compiler, number: int, step: Step, region: Region) -> None:
    rows, targets = c._rows("a", step.node.inputs[0], region), c._targets(step.target, region)
    channels = c.plan.graph.shapes[step.target][1]
    c.calls.append(reduce.softmax(rows, targets, channels, c.dtype, count=region.count))


def _pool(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Pool)
    value = step.node.inputs[0]
    kept, out = c.storage.kept[value], c.plan.graph.shapes[step.target]
    sources = c._windows("a", value, out, region, op.stride, op.padding[:2])
    spans = [
        _spans(op, axis, side, count)
        for axis, (side, count) in enumerate(zip((kept.height, kept.width), out[2:], strict=True))
    ]
    y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
    divisors = None
    if op.kind == "average":
        counted = [s[:, 2] if op.count_padding else s[:, 1] - s[:, 0] for s in spans]
        divisors = region.look_up((counted[0][y] * counted[1][x]).astype(np.float32))
    reach = np.concatenate([spans[0][y, :2], spans[1][x, :2]], axis=1).astype(np.int32)
    c.calls.append(
        windows.pool(
            sources, taps(kept, op.kernel, op.dilation), op.kind, c._targets(step.target, region),
            out[1], c.dtype, windows=region.look_up(reach), divisors=divisors, count=region.count,
        )
    )  # fmt: skip


def _resize(c: Compiler, number: int, step: Step, region: Region) -> None:
    op = step.node.op
    assert isinstance(op, Resize)
    value = step.node.inputs[0]
    kept, out = c.storage.kept[value], c.plan.graph.shapes[step.target]
    axes = [
        samples(op, inside, outside)
        for inside, outside in zip((kept.height, kept.width), out[2:], strict=True)
    ]
    y, x = np.divmod(np.arange(out[2] * out[3]), out[3])
    (near_y, weight_y), (near_x, weight_x) = axes
    index = kept.index(near_y[y][:, :, None], near_x[x][:, None, :])
    index = np.ascontiguousarray(index.reshape(len(y), -1))
    targets = c._targets(step.target, region)
    if op.mode == "nearest":
        indices = region.look_up(index[:, 0].copy())
        rows = c._locate("a", region, MEMORY, indices, kept.row_bytes, kept.offset)
        c.calls.append(moves.copy(rows, targets, out[1], c.dtype, count=region.count))
        return
    weights = weight_y[y][:, :, None] * weight_x[x][:, None, :]
    weights = np.ascontiguousarray(weights.reshape(len(y), -1), np.float32)
    rows = c._several_rows(kept, region, index)
    c.calls.append(
        moves.mix(rows, region.look_up(weights), targets, out[1], c.dtype, count=region.count)
    )


def samples(op: Resize, inside: int, outside: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The pixels along an axis that each new pixel is mixed from, and their parts: (n, 1 or 2)."""
    new = np.arange(outside)
    if op.mode == "nearest":
        return (new * inside // outside)[:, None], np.ones((outside, 1))
    if op.align_corners:
        place = new * ((inside - 1) / max(outside - 1, 1))
    else:
        place = np.maximum((new + 0.5) * (inside / outside) - 0.5, 0)
    low = np.minimum(place.astype(np.int64), inside - 1)
    high = np.minimum(low + 1, inside - 1)
    part = place - low
    return np.stack([low, high], 1), np.stack([1 - part, part], 1)


def _spans(op: Pool, axis: int, inside: int, outside: int) -> NDArray[np.int64]:
    """For each window along an axis: its first tap on the map, the one after its last, and how
    many numbers an average that counts padding divides by. (n, 3)"""
    starts = np.arange(outside) * op.stride[axis] - op.padding[axis]
    places = starts[:, None] + np.arange(op.kernel[axis]) * op.dilation[axis]
    on_map = (places >= 0) & (places < inside)
    first = on_map.argmax(1)
    padded = places < inside + op.padding[axis + 2]
    return np.stack([first, first + on_map.sum(1), padded.sum(1)], 1)


_MAKERS: dict[type, Maker] = {
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
}
"""What computes an operation on blocks. An operation that is not here runs dense."""
