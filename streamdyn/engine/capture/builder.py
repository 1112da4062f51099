"""The graph while it is being built, and what every operation needs to add itself to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from streamdyn.engine.capture import dense
from streamdyn.engine.capture.dense import Pending
from streamdyn.engine.capture.layout import CHANNELS, COLUMNS, ROWS, Laid, Layout
from streamdyn.engine.graph import Affine, Channels, Constant, Dense, Floats, Node, Op

Handle = Laid | Pending  # a tensor of the captured model that depends on the image


class NotOnMaps(Exception):  # noqa: N818  # it is no error: the operation runs dense
    """An operation, or this use of it, cannot run on chosen pixels."""


def need_constants(*parameters: Any) -> None:
    """Leave operations dense whose parameters depend on the image."""
    if any(isinstance(parameter, (Laid, Pending)) for parameter in parameters):
        raise NotOnMaps


@dataclass(slots=True)
class Builder:
    """A graph under construction."""

    shapes: list[tuple[int, ...]]
    nodes: list[Node] = field(default_factory=list)
    env: dict[fx.Node, Any] = field(default_factory=dict)  # handles, lists of them, constants
    name: str = ""  # of the layer that is being captured
    shape: tuple[int, ...] = ()  # of the tensor that the operation being captured gives
    waiting: dict[fx.Node, None] = field(default_factory=dict)  # pending, in order
    seen: dict[tuple[int, ...], Layout] = field(default_factory=dict)
    """How the last map lay that was seen as a tensor of a shape, without its axes of size 1. A
    dense result of that shape, attention's mostly, is laid out alike: any layout is right, this
    one makes blocks of it."""

    def add(self, op: Op, inputs: Sequence[int], shape: Sequence[int]) -> int:
        """Add a node of one output, and return the value."""
        self.shapes.append(tuple(shape))
        value = len(self.shapes) - 1
        self.nodes.append(Node(self.name, op, tuple(inputs), (value,)))
        return value

    def laid(self, op: Op, inputs: Sequence[int], layout: Layout) -> Laid:
        """Add a node whose output is seen through `layout`."""
        tensor = Laid(self.add(op, inputs, layout.base), layout)
        self.see(tensor)
        return tensor

    def map(self, op: Op, inputs: Sequence[int], shape: Sequence[int]) -> Laid:
        """Add a node whose output is seen as it is."""
        return self.laid(op, inputs, Layout.plain(shape))

    def see(self, tensor: Laid) -> None:
        """Remember how a map lies, for dense results of the same shape."""
        layout = tensor.layout
        if layout.on_map and not layout.is_plain and layout.base[ROWS] * layout.base[COLUMNS] > 1:
            self.seen[_long(layout.shape)] = layout

    def image(self, tensor: Handle) -> Laid:
        """A tensor (1, C, H, W) as a map."""
        if len(tensor.shape) != 4 or tensor.shape[0] != 1:
            raise NotOnMaps
        return self.relay(tensor, Layout.plain(tensor.shape))

    def with_channels_at(self, tensor: Handle, axis: int) -> Laid:
        """A tensor whose axis `axis` is the channels of a map, in their order."""
        axis %= len(tensor.shape)
        layout = tensor.layout if isinstance(tensor, Laid) else None
        if layout is None or not layout.on_map:
            layout = self.seen.get(_long(tensor.shape))
            layout = layout and layout.view(tensor.shape)
        if layout is None or not layout.has_channels_at(axis):
            raise NotOnMaps
        return self.relay(tensor, layout.with_channels(axis, layout.base[CHANNELS]))

    def on_map(self, tensor: Handle) -> Laid:
        """A tensor that lies on a map in any way."""
        if not isinstance(tensor, Laid) or not tensor.layout.on_map:
            raise NotOnMaps
        return tensor

    def relay(self, tensor: Handle, layout: Layout) -> Laid:
        """The same tensor laid out in a given way; computed densely where it comes to that."""
        if isinstance(tensor, Pending):
            if tensor.node in self.waiting:
                self.settle({tensor.node: layout})
            tensor = self.env[tensor.node]
            assert isinstance(tensor, Laid)
        if tensor.layout == layout:
            return tensor
        if (order := _channel_order(tensor.layout, layout)) is not None:
            return self.laid(Channels(order), [tensor.value], layout)
        function = dense.rearrange(tensor.layout, layout)
        return self.laid(Dense(function, "rearrange"), [tensor.value], layout)

    def moved(self, tensor: Laid, layout: Layout) -> Laid:
        """The numbers of a tensor, seen as another tensor."""
        moved = Laid(tensor.value, layout)
        self.see(moved)
        return moved

    def take(self, tensor: Laid, axis: int, indices: NDArray[np.int64]) -> Laid:
        """Some indices of an axis that is made of channels, maybe not of all of them."""
        layout = tensor.layout
        if (
            not layout.on_map
            or not len(indices)
            or any(part.axis != CHANNELS for part in layout.axes[axis])
        ):
            raise NotOnMaps
        numbers = torch.arange(layout.base[CHANNELS]).reshape(1, -1, 1, 1)
        channels = layout.reduced(ROWS, COLUMNS).read(numbers)
        taken = channels.index_select(axis, torch.from_numpy(np.ascontiguousarray(indices)))
        op = Channels(taken.flatten().numpy())
        return self.laid(op, [tensor.value], layout.taken(axis, len(indices)))

    def settle(self, wanted: Mapping[fx.Node, Layout]) -> None:
        """Compute pending tensors by one dense node, and write each to a value as asked."""
        members = dense.ancestors(wanted, self.waiting)
        inside = set(members)
        outputs = {
            node: wanted.get(node) or Layout.plain(dense.shape_of(node))
            for node in members
            if dense.gives_tensor(node) and (node in wanted or not inside.issuperset(node.users))
        }
        function, inputs = dense.extract(members, self.env, outputs)
        first = len(self.shapes)
        self.shapes += [layout.base for layout in outputs.values()]
        values = tuple(range(first, len(self.shapes)))
        op = Dense(function, dense.what(members), dense.macs(members))
        self.nodes.append(Node(_common_name(members), op, inputs, values))
        for (node, layout), value in zip(outputs.items(), values, strict=True):
            self.env[node] = Laid(value, layout)
        for node in members:
            del self.waiting[node]

    def per_channel(self, tensor: Laid, constant: float | torch.Tensor) -> Floats | None:
        """A constant that is broadcast over a tensor, per channel of its map; None: it is not."""
        given = torch.as_tensor(constant, dtype=torch.float32)
        layout = tensor.layout.reduced(ROWS, COLUMNS)
        if not _broadcasts(given.shape, layout.shape):
            layout = tensor.layout
        found = layout.write(given.expand(layout.shape))
        first = found[..., :1, :1]
        return np.ascontiguousarray(first.flatten().numpy()) if (found == first).all() else None

    def constant(self, tensor: Laid, constant: float | torch.Tensor) -> Laid:
        """A constant laid out as the tensor that it is combined with."""
        given = torch.as_tensor(constant, dtype=torch.float32)
        if (numbers := self.per_channel(tensor, given)) is not None:
            layout = tensor.layout.reduced(ROWS, COLUMNS)
            return self.laid(Constant(numbers.reshape(layout.base)), [], layout)
        numbers = np.ascontiguousarray(tensor.layout.write(given.expand(tensor.shape)).numpy())
        return self.laid(Constant(numbers), [], tensor.layout)

    def affine(self, tensor: Laid, scale: float | Floats, shift: float | Floats) -> Laid:
        """tensor * scale + shift, per channel of its map."""
        count = tensor.layout.base[CHANNELS]
        numbers = [np.full(count, each, np.float32) for each in (scale, shift)]
        return self.laid(Affine(*numbers), [tensor.value], tensor.layout)


def _channel_order(source: Layout, target: Layout) -> NDArray[np.int64] | None:
    """Which channels of one map, in which order, are those of another that holds the same tensor.

    None where pixels move as well.
    """
    if source.base != target.base or not source.on_map:
        return None
    for old, new in zip(source.axes, target.axes, strict=True):
        if old != new and any(part.axis != CHANNELS for part in (*old, *new)):
            return None
    numbers = np.arange(source.base[CHANNELS]).reshape(1, -1, 1, 1)
    source, target = source.reduced(ROWS, COLUMNS), target.reduced(ROWS, COLUMNS)
    order = target.write(source.read(torch.from_numpy(numbers)))
    return np.ascontiguousarray(order.flatten().numpy())


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in shape if size > 1)


def _broadcasts(shape: Sequence[int], onto: Sequence[int]) -> bool:
    return len(shape) <= len(onto) and all(
        a in (1, b) for a, b in zip(shape[::-1], onto[::-1], strict=False)
    )


def _common_name(members: Sequence[fx.Node]) -> str:
    """The innermost layer that calls all the products among operations, or else all of them."""
    heavy = [node for node in members if dense.macs([node])]
    names = [dense.layer_of(node) or dense.operation(node) for node in heavy or members]
    common = []
    for level in zip(*(name.split(".") for name in names), strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return ".".join(common) or names[0]
