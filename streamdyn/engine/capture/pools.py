"""Capture of pooling, resizing and padding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch

from streamdyn.engine.capture.builder import Builder, Handle, NotOnMaps
from streamdyn.engine.capture.convolutions import pair
from streamdyn.engine.capture.layout import COLUMNS, ROWS, Laid
from streamdyn.engine.graph import GlobalPool, Pad, Pool, Resize, windows

aten = torch.ops.aten

Pair = Sequence[int]
_SPACE = {ROWS, COLUMNS}


def max_pool2d(
    b: Builder,
    x: Handle,
    kernel: Pair,
    stride: Pair = (),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    ceil: bool = False,
) -> Laid:
    return _pooled(b, _pool("max", kernel, stride, padding, dilation, ceil), x)


def avg_pool2d(
    b: Builder,
    x: Handle,
    kernel: Pair,
    stride: Pair = (),
    padding: Pair = (0, 0),
    ceil: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> Laid:
    if divisor is not None or (ceil and count_padding and any(padding)):
        raise NotOnMaps  # windows that reach over the border divide by other counts than ours
    counts = count_padding and not ceil
    return _pooled(b, _pool("average", kernel, stride, padding, (1, 1), ceil, counts), x)


def _pool(
    kind: Literal["max", "average"],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil: bool,
    count_padding: bool = True,
) -> Pool:
    steps = pair(stride or kernel)
    top, left = bottom, right = pair(padding)
    if ceil:  # a last window that is not full: as if there were more padding
        bottom, right = bottom + steps[0] - 1, right + steps[1] - 1
    sides = (top, left, bottom, right)
    return Pool(kind, pair(kernel), steps, sides, pair(dilation), count_padding)


def _pooled(b: Builder, op: Pool, x: Handle) -> Laid:
    sizes = zip(
        x.shape[-2:], op.kernel, op.stride, op.padding[:2], op.padding[2:], op.dilation, strict=True
    )
    if tuple(windows(*axis) for axis in sizes) != b.shape[-2:]:
        raise NotOnMaps  # a last window that holds padding alone is left out
    return b.map(op, [b.image(x).value], b.shape)


def adaptive_avg_pool2d(b: Builder, x: Handle, size: Pair) -> Laid:
    x = b.image(x)
    return _adaptive(b, x, size, "average")


def adaptive_max_pool2d(b: Builder, x: Handle, size: Pair) -> tuple[Laid, None]:
    """The maxima; their positions are not captured, and nobody asks for them."""
    return _adaptive(b, b.image(x), size, "max"), None


def _adaptive(b: Builder, x: Laid, size: Pair, kind: Literal["max", "average"]) -> Laid:
    shape = (*x.shape[:ROWS], *pair(size))
    if kind == "average" and tuple(size) == (1, 1):
        return b.map(GlobalPool(), [x.value], shape)
    if any(pixels % count for pixels, count in zip(x.shape[ROWS:], size, strict=True)):
        raise NotOnMaps  # windows of different sizes
    kernel = (x.shape[ROWS] // size[0], x.shape[COLUMNS] // size[1])
    return b.map(Pool(kind, kernel, kernel), [x.value], shape)


def mean(b: Builder, x: Handle, axes: Sequence[int], keep: bool = False, dtype: Any = None) -> Laid:
    """The mean over all pixels of a map, however it lies."""
    x = b.on_map(x)
    reduced = x.layout.reduced(ROWS, COLUMNS)
    chosen = {axis % len(x.shape) for axis in axes}
    for axis, parts in enumerate(x.layout.axes):
        kinds = {part.axis for part in parts}
        if (not kinds <= _SPACE) if axis in chosen else (kinds & _SPACE):
            raise NotOnMaps
    pooled = b.laid(GlobalPool(), [x.value], reduced)
    return pooled if keep else Laid(pooled.value, pooled.layout.without(chosen))


def adaptive_avg_pool1d(b: Builder, x: Handle, size: Sequence[int]) -> Laid:
    """Of tokens: only to one, which is the mean of all."""
    if tuple(size) != (1,):
        raise NotOnMaps
    return mean(b, x, [-1], keep=True)


def upsample(mode: Literal["nearest", "bilinear"]) -> Callable[..., Laid]:
    """Capture of resizing by a mode."""

    def lower(b: Builder, x: Handle, size: Any, *options: Any) -> Laid:
        align = bool(options[0]) if mode == "bilinear" else False
        scales = options[-1]
        x = b.image(x)
        if isinstance(scales, Sequence) and any(
            pixels * scale != wanted
            for pixels, scale, wanted in zip(x.shape[ROWS:], scales, b.shape[ROWS:], strict=True)
        ):
            raise NotOnMaps  # the pixels lie as the scale says, not as the sizes do
        return b.map(Resize(mode, align), [x.value], b.shape)

    return lower


def upsample_nearest_exact(b: Builder, x: Handle, size: Any, scales: Any = None) -> Laid:
    if any(wanted % pixels for wanted, pixels in zip(b.shape[ROWS:], x.shape[ROWS:], strict=True)):
        raise NotOnMaps  # only for whole factors the same as the plain kind
    return upsample("nearest")(b, x, size, scales)


def pad(
    b: Builder, x: Handle, pads: Sequence[int], mode: str = "constant", value: float | None = None
) -> Laid:
    if mode != "constant" or any(pads[4:]):
        raise NotOnMaps
    x = b.image(x)
    left, right, top, bottom = (*pads, 0, 0, 0, 0)[:4]
    return b.map(Pad((top, left, bottom, right), float(value or 0)), [x.value], b.shape)


POOLS: Mapping[Any, Callable[..., Any]] = {
    aten.max_pool2d.default: max_pool2d,
    aten.avg_pool2d.default: avg_pool2d,
    aten.adaptive_avg_pool2d.default: adaptive_avg_pool2d,
    aten.adaptive_max_pool2d.default: adaptive_max_pool2d,
    aten.adaptive_avg_pool1d.default: adaptive_avg_pool1d,
    aten.mean.dim: mean,
    aten.upsample_nearest2d.vec: upsample("nearest"),
    aten.upsample_bilinear2d.vec: upsample("bilinear"),
    aten._upsample_nearest_exact2d.vec: upsample_nearest_exact,
    aten.pad.default: pad,
    aten.constant_pad_nd.default: lambda b, x, pads, value=0: pad(b, x, pads, value=value),
}
