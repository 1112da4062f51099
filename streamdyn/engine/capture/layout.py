"""How a tensor of the captured model lies on a value of the graph.

Networks view one map in many shapes: channels last, as tokens, in windows, in groups of channels.
A `Layout` follows reshapes and permutations exactly, without moving a number: each axis of the
value is split into *parts*, and each axis of the tensor is a sequence of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

CHANNELS, ROWS, COLUMNS = 1, 2, 3  # axes of a map (1, C, H, W)


class Part(NamedTuple):
    """The digits of an index along one axis of a value: `index // stride % size`."""

    axis: int
    stride: int
    size: int


Parts = tuple[Part, ...]  # the first is the most significant


@dataclass(frozen=True, slots=True)
class Layout:
    """A tensor whose axes are made of the axes of a value of shape `base`.

    Every part of every axis of the value appears once, so tensor and value hold the same numbers.
    """

    base: tuple[int, ...]
    axes: tuple[Parts, ...]  # of the tensor; an axis of size 1 has no parts

    @classmethod
    def plain(cls, base: Sequence[int]) -> Layout:
        """The value as it is."""
        return cls(tuple(base), tuple(_whole(axis, size) for axis, size in enumerate(base)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(prod(part.size for part in parts) for parts in self.axes)

    @property
    def is_plain(self) -> bool:
        """Whether the tensor is the value as it is."""
        return self.axes == Layout.plain(self.base).axes

    @property
    def on_map(self) -> bool:
        """Whether the value is a map."""
        return len(self.base) == 4 and self.base[0] == 1

    def whole(self, axis: int) -> Parts:
        """The parts of a tensor's axis that is an axis of the value and nothing else."""
        return _whole(axis, self.base[axis])

    def has_channels_at(self, axis: int) -> bool:
        """Whether an axis of the tensor is the channels of a map, all of them, in any order."""
        own, channels = self.axes[axis], self.parts_of(CHANNELS) if self.on_map else None
        return channels is not None and sorted(own) == sorted(channels)

    def parts_of(self, axis: int) -> Parts:
        """The parts of an axis of the value, as the tensor orders them."""
        return tuple(part for parts in self.axes for part in parts if part.axis == axis)

    def permute(self, order: Sequence[int]) -> Layout:
        """The tensor with its axes in another order."""
        return Layout(self.base, tuple(self.axes[axis] for axis in order))

    def view(self, shape: Sequence[int]) -> Layout | None:
        """The tensor in another shape; None where that cuts parts in uneven pieces."""
        left = [part for parts in self.axes for part in parts][::-1]  # as a stack
        axes: list[Parts] = []
        for size in shape:
            parts: list[Part] = []
            while size > 1:
                part = left.pop()
                if size % part.size == 0:
                    size //= part.size
                elif part.size % size == 0:
                    rest = part.size // size
                    left.append(Part(part.axis, part.stride, rest))
                    part = Part(part.axis, part.stride * rest, size)
                    size = 1
                else:
                    return None
                parts.append(part)
            axes.append(_merged(parts))
        return Layout(self.base, tuple(axes))

    def with_channels(self, axis: int, count: int) -> Layout:
        """The same tensor of another number of channels, which are its axis `axis`."""
        base = (1, count, *self.base[ROWS:])
        axes = [*self.axes]
        axes[axis] = _whole(CHANNELS, count)
        return Layout(base, tuple(axes))

    def taken(self, axis: int, count: int) -> Layout:
        """A tensor with other channels at one axis, on a map that holds them in its order."""
        stride = 1
        axes: list[Parts] = []
        for number, parts in reversed([*enumerate(self.axes)]):
            if number == axis:
                parts = _whole(CHANNELS, count)
            renumbered: list[Part] = []
            for part in reversed(parts):
                if part.axis == CHANNELS:
                    part = Part(CHANNELS, stride, part.size)
                    stride *= part.size
                renumbered.insert(0, part)
            axes.insert(0, _merged(renumbered))
        return Layout((1, stride, *self.base[ROWS:]), tuple(axes))

    def resized(self, axis: int, size: int) -> Layout:
        """The same tensor on a value that is longer or shorter along an axis, which is whole."""
        base = (*self.base[:axis], size, *self.base[axis + 1 :])
        axes = tuple(
            tuple(
                part
                for old in parts
                for part in (_whole(axis, size) if old.axis == axis else (old,))
            )
            for parts in self.axes
        )
        return Layout(base, axes)

    def rebased(self, base: tuple[int, ...]) -> Layout | None:
        """The same way to look at a larger or smaller value; None where it cuts axes in parts."""
        if self.is_plain:
            return Layout.plain(base)
        layout = self
        for axis, (old, new) in enumerate(zip(self.base, base, strict=True)):
            if old != new:
                if self.parts_of(axis) != (Part(axis, 1, old),):
                    return None
                layout = layout.resized(axis, new)
        return layout

    def reduced(self, *axes: int) -> Layout:
        """The same tensor of size 1 wherever it came from these axes of the value."""
        base = tuple(1 if axis in axes else size for axis, size in enumerate(self.base))
        kept = tuple(tuple(p for p in parts if p.axis not in axes) for parts in self.axes)
        return Layout(base, kept)

    def without(self, axes: Collection[int]) -> Layout:
        """The tensor without some axes of size 1."""
        return Layout(self.base, tuple(p for n, p in enumerate(self.axes) if n not in axes))

    def read(self, value: Any) -> Any:
        """The tensor, from the value: anything with `reshape` and `permute`."""
        if self.is_plain:
            return value
        ordered = sorted(self._flat(), key=_place)
        order = [ordered.index(part) for part in self._flat()]
        return value.reshape([part.size for part in ordered]).permute(order).reshape(self.shape)

    __call__ = read

    def write(self, tensor: Any) -> Any:
        """The value, from the tensor: the inverse of `read`."""
        if self.is_plain:
            return tensor
        flat = self._flat()
        order = [flat.index(part) for part in sorted(flat, key=_place)]
        return tensor.reshape([part.size for part in flat]).permute(order).reshape(self.base)

    def _flat(self) -> list[Part]:
        return [part for parts in self.axes for part in parts]


def _place(part: Part) -> tuple[int, int]:
    """Sorts parts into the order in which the value holds them."""
    return part.axis, -part.stride


def _whole(axis: int, size: int) -> Parts:
    return (Part(axis, 1, size),) if size > 1 else ()


def _merged(parts: Sequence[Part]) -> Parts:
    """Join neighbours that are one run of one axis, so that equal layouts compare equal."""
    merged: list[Part] = []
    for part in parts:
        last = merged[-1] if merged else None
        if last and last.axis == part.axis and last.stride == part.stride * part.size:
            merged[-1] = Part(part.axis, part.stride, last.size * part.size)
        else:
            merged.append(part)
    return tuple(merged)


@dataclass(frozen=True, slots=True)
class Laid:
    """A tensor of the captured model, as it lies on a value of the graph."""

    value: int
    layout: Layout

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape
