"""Capture of operations that only move numbers: most of them cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from streamdyn.engine.capture.builder import Builder, Handle, NotOnMaps
from streamdyn.engine.capture.dense import Pending
from streamdyn.engine.capture.layout import COLUMNS, ROWS, Laid
from streamdyn.engine.graph import Concat, Pad, Pool

aten = torch.ops.aten


def _laid(x: Handle) -> Laid:
    if isinstance(x, Pending):
        raise NotOnMaps
    return x


def same(b: Builder, x: Handle, *how: Any, **more: Any) -> Laid:
    """An operation that copies its input, if anything."""
    return _laid(x)


def view(b: Builder, x: Handle, shape: Sequence[int]) -> Laid:
    x = _laid(x)
    layout = x.layout.view(b.shape)  # where `shape` may say -1
    if layout is None:
        raise NotOnMaps
    return b.moved(x, layout)


def flatten_or_unflatten(b: Builder, x: Handle, *how: Any) -> Laid:
    """Everything else whose result says all about it by its shape."""
    return view(b, x, b.shape)


def permute(b: Builder, x: Handle, order: Sequence[int]) -> Laid:
    x = _laid(x)
    return b.moved(x, x.layout.permute([axis % len(x.shape) for axis in order]))


def transpose(b: Builder, x: Handle, first: int = 0, second: int = 1) -> Laid:
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return permute(b, x, order)


def expand(b: Builder, x: Handle, shape: Sequence[int], *, implicit: bool = False) -> Laid:
    """Only to the shape that it has; broadcasting needs no more."""
    if b.shape != x.shape:
        raise NotOnMaps
    return _laid(x)


def slice_(
    b: Builder,
    x: Handle,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Laid:
    x, axis = _laid(x), axis % len(x.shape)
    size = x.shape[axis]
    first, last, _ = slice(start, end, step).indices(size)
    if (first, last, step) == (0, size, 1):
        return x
    for side in (ROWS, COLUMNS):
        if x.layout.on_map and x.layout.axes[axis] and x.layout.axes[axis] == x.layout.whole(side):
            return _cut(b, x, side, first, size - last, step)
    return b.take(x, axis, np.arange(first, last, step))


def _cut(b: Builder, x: Laid, side: int, before: int, after: int, step: int) -> Laid:
    """Some rows or columns of a map: a border cut off, and every `step`-th of the rest."""
    if before or after:
        sides = (-before, 0, -after, 0) if side == ROWS else (0, -before, 0, -after)
        layout = x.layout.resized(side, x.layout.base[side] - before - after)
        x = b.laid(Pad(sides), [x.value], layout)
    if step > 1:
        steps = (step, 1) if side == ROWS else (1, step)
        layout = x.layout.resized(side, -(-x.layout.base[side] // step))
        x = b.laid(Pool("max", (1, 1), steps), [x.value], layout)
    return x


def select(b: Builder, x: Handle, axis: int, index: int) -> Laid:
    x, axis = _laid(x), axis % len(x.shape)
    index %= x.shape[axis]
    chosen = slice_(b, x, axis, index, index + 1)
    return Laid(chosen.value, chosen.layout.without([axis]))


def unbind(b: Builder, x: Handle, axis: int = 0) -> list[Laid]:
    return [select(b, x, axis, index) for index in range(x.shape[axis])]


def split(b: Builder, x: Handle, size: int, axis: int = 0) -> list[Laid]:
    starts = range(0, x.shape[axis], size)
    return [slice_(b, x, axis, start, start + size) for start in starts]


def split_with_sizes(b: Builder, x: Handle, sizes: Sequence[int], axis: int = 0) -> list[Laid]:
    ends = np.cumsum(sizes).tolist()
    return [slice_(b, x, axis, end - size, end) for size, end in zip(sizes, ends, strict=True)]


def index_select(b: Builder, x: Handle, axis: int, indices: torch.Tensor) -> Laid:
    if not isinstance(indices, torch.Tensor):
        raise NotOnMaps
    return b.take(_laid(x), axis % len(x.shape), indices.numpy())


def index(b: Builder, x: Handle, indices: Sequence[torch.Tensor | None]) -> Laid:
    """x[:, indices]: one list of constant indices, everything else whole."""
    given = [(axis, each) for axis, each in enumerate(indices) if each is not None]
    if len(given) != 1 or not isinstance(given[0][1], torch.Tensor):
        raise NotOnMaps
    axis, chosen = given[0]
    if chosen.ndim != 1 or chosen.dtype != torch.int64:
        raise NotOnMaps
    return index_select(b, x, axis, chosen % x.shape[axis])


def flip(b: Builder, x: Handle, axes: Sequence[int]) -> Laid:
    for axis in axes:
        x = b.take(_laid(x), axis % len(x.shape), np.arange(x.shape[axis])[::-1])
    return _laid(x)


def channel_shuffle(b: Builder, x: Handle, groups: int) -> Laid:
    order = np.arange(x.shape[1]).reshape(groups, -1).T.ravel()
    return b.take(_laid(x), 1, order)


def repeat(b: Builder, x: Handle, times: Sequence[int]) -> Laid:
    """Only of the channels."""
    grown = [axis for axis, count in enumerate(times) if count != 1]
    if len(times) != len(x.shape) or len(grown) != 1:
        raise NotOnMaps
    (axis,) = grown
    return b.take(_laid(x), axis, np.tile(np.arange(x.shape[axis]), times[axis]))


def cat(b: Builder, tensors: Sequence[Handle | torch.Tensor], axis: int = 0) -> Laid:
    """Of channels."""
    first = next((x for x in tensors if isinstance(x, Laid) and x.layout.on_map), None)
    if first is None or any(isinstance(x, torch.Tensor) for x in tensors):
        raise NotOnMaps
    axis %= len(first.shape)
    shared = b.with_channels_at(first, axis).layout
    parts = [
        b.relay(x, shared.with_channels(axis, x.shape[axis]))
        for x in tensors
        if isinstance(x, (Laid, Pending))
    ]
    values = [part.value for part in parts]
    return b.laid(Concat(), values, shared.with_channels(axis, b.shape[axis]))


SHAPES: Mapping[Any, Callable[..., Any]] = {
    aten.clone.default: same,
    aten.contiguous.default: same,
    aten.detach.default: same,
    aten.alias.default: same,
    aten.lift_fresh_copy.default: same,
    aten._to_copy.default: same,
    aten.dropout.default: same,
    aten.view.default: view,
    aten._unsafe_view.default: view,
    aten.reshape.default: view,
    aten.unsqueeze.default: flatten_or_unflatten,
    aten.squeeze.default: flatten_or_unflatten,
    aten.squeeze.dim: flatten_or_unflatten,
    aten.squeeze.dims: flatten_or_unflatten,
    aten.flatten.using_ints: flatten_or_unflatten,
    aten.permute.default: permute,
    aten.transpose.int: transpose,
    aten.t.default: transpose,
    aten.expand.default: expand,
    aten.slice.Tensor: slice_,
    aten.select.int: select,
    aten.unbind.int: unbind,
    aten.split.Tensor: split,
    aten.split_with_sizes.default: split_with_sizes,
    aten.index_select.default: index_select,
    aten.index.Tensor: index,
    aten.flip.default: flip,
    aten.channel_shuffle.default: channel_shuffle,
    aten.repeat.default: repeat,
    aten.cat.default: cat,
    aten.concat.default: cat,
}
