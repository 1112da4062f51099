"""ONNX operators with weights or windows: convolutions, norms, pools, resizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from streamdyn.engine.capture.onnx_operation import Operation, Value, numbers, tensor

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def convolution(operation: Operation, x: Tensor, weight: Value, bias: Value = None) -> Tensor:
    w = tensor(weight)
    stride, dilation = _steps(operation, x)
    x, padding = _padded(x, _pads(operation, x, w.shape[2:], stride, dilation))
    shift = None if bias is None else tensor(bias)
    convolve = _CONVOLUTIONS[x.ndim - 2]
    return convolve(x, w, shift, stride, padding, dilation, operation.get("group", 1))


def transposed_convolution(
    operation: Operation, x: Tensor, weight: Value, bias: Value = None
) -> Tensor:
    if operation.get("output_shape") or operation.get("auto_pad", "NOTSET") not in (
        "NOTSET",
        "VALID",
    ):
        raise operation.refuse("padding that follows from a given output shape")
    stride, dilation = _steps(operation, x)
    pads = operation.get("pads", [0] * (2 * (x.ndim - 2)))
    shift = None if bias is None else tensor(bias)
    before, after = pads[: x.ndim - 2], pads[x.ndim - 2 :]
    even = before == after
    result = _TRANSPOSED[x.ndim - 2](
        x, tensor(weight), shift, stride, before if even else 0,
        operation.get("output_padding", 0), operation.get("group", 1), dilation,
    )  # fmt: skip
    return result if even else F.pad(result, _order([-pad for pad in pads]))


def max_pool(operation: Operation, x: Tensor) -> Tensor:
    if operation.outputs > 1:
        raise operation.refuse("a second output")
    kernel, (stride, dilation) = operation.get("kernel_shape"), _steps(operation, x)
    pads = _pads(operation, x, kernel, stride, dilation)
    x, padding = _padded(x, pads, -torch.inf, [size // 2 for size in kernel])
    ceil = bool(operation.get("ceil_mode", 0))
    pooled: Tensor = F.max_pool2d(x, kernel, stride, padding, dilation, ceil)
    return pooled


def average_pool(operation: Operation, x: Tensor) -> Tensor:
    kernel, (stride, dilation) = operation.get("kernel_shape"), _steps(operation, x)
    if any(step != 1 for step in dilation):
        raise operation.refuse("dilation")
    counts, ceil = bool(operation.get("count_include_pad", 0)), bool(operation.get("ceil_mode", 0))
    pads = _pads(operation, x, kernel, stride, dilation)
    inside, padding = _padded(x, pads, 0.0, [size // 2 for size in kernel])
    if counts or not any(pads) or any(padding):
        return F.avg_pool2d(inside, kernel, stride, padding, ceil, counts)
    ones = F.pad(torch.ones(1, 1, *x.shape[2:]), _order(pads))
    share = F.avg_pool2d(ones, kernel, stride, 0, ceil)
    return F.avg_pool2d(inside, kernel, stride, 0, ceil) / share


def global_average_pool(operation: Operation, x: Tensor) -> Tensor:
    return x.mean([*range(2, x.ndim)], keepdim=True)


def global_max_pool(operation: Operation, x: Tensor) -> Tensor:
    return x.amax([*range(2, x.ndim)], keepdim=True)


def batch_norm(
    operation: Operation, x: Tensor, scale: Value, bias: Value, mean: Value, variance: Value
) -> Tensor:
    statistics = (tensor(mean), tensor(variance), tensor(scale), tensor(bias))
    return F.batch_norm(x, *statistics, eps=operation.get("epsilon", 1e-5))


def instance_norm(operation: Operation, x: Tensor, scale: Value, bias: Value) -> Tensor:
    epsilon = operation.get("epsilon", 1e-5)
    return F.instance_norm(x, weight=tensor(scale), bias=tensor(bias), eps=epsilon)


def group_norm(operation: Operation, x: Tensor, scale: Value, bias: Value) -> Tensor:
    groups = operation.get("num_groups")
    weight, shift = tensor(scale), tensor(bias)
    if len(weight) == groups:  # before opset 21
        weight, shift = (each.repeat_interleave(x.shape[1] // groups) for each in (weight, shift))
    return F.group_norm(x, groups, weight, shift, operation.get("epsilon", 1e-5))


def layer_norm(operation: Operation, x: Tensor, scale: Value, bias: Value = None) -> Tensor:
    shape = x.shape[operation.get("axis", -1) :]
    shift = None if bias is None else tensor(bias)
    return F.layer_norm(x, shape, tensor(scale), shift, operation.get("epsilon", 1e-5))


def pad(
    operation: Operation, x: Tensor, pads: Value = None, value: Value = None, axes: Value = None
) -> Tensor:
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    given = operation.get("pads") if pads is None else numbers(operation, pads)
    chosen = range(x.ndim) if axes is None else numbers(operation, axes)
    sides = np.zeros((x.ndim, 2), int)
    sides[np.asarray(chosen)] = np.reshape(given, (2, -1)).T
    mode = modes[operation.get("mode", "constant")]
    order = sides[::-1].ravel().tolist()
    if mode != "constant":
        return F.pad(x, order[:4], mode)
    fill = operation.get("value", 0.0) if value is None else np.asarray(value).item()
    return F.pad(x, order if any(order[4:]) else order[:4], mode, float(fill))


def resize(operation: Operation, x: Tensor, *inputs: Value) -> Tensor:
    """From opset 11 on the inputs are a region, scales and sizes; before, scales alone."""
    _region, scales, sizes = (*inputs, None, None)[:3] if operation.opset >= 11 else (
        None, inputs[0] if inputs else operation.get("scales"), None
    )  # fmt: skip
    size, factors = _target(operation, x, scales, sizes)
    mode = operation.get("mode", "nearest")
    rule = operation.get(
        "coordinate_transformation_mode", "half_pixel" if operation.opset >= 11 else "asymmetric"
    )
    whole = all(new % old == 0 for new, old in zip(size, x.shape[2:], strict=True))
    rounding = operation.get("nearest_mode", "round_prefer_floor")
    match mode, rule:
        case "nearest", "asymmetric" if rounding == "floor" or operation.opset < 11:
            return F.interpolate(x, **factors)
        case "nearest", "half_pixel" | "pytorch_half_pixel" if whole:
            return F.interpolate(x, **factors)
        case "linear" | "bilinear" | "cubic", "half_pixel" | "pytorch_half_pixel" | "align_corners":
            kind = "bicubic" if mode == "cubic" else "bilinear"
            return F.interpolate(x, **factors, mode=kind, align_corners=rule == "align_corners")
        case _:
            raise operation.refuse(f"{mode} interpolation at {rule} coordinates")


def _target(
    operation: Operation, x: Tensor, scales: Any, sizes: Value
) -> tuple[list[int], dict[str, Any]]:
    """The size to resize a map to, and how torch is to be told."""
    axes = operation.get("axes", [*range(x.ndim)])
    if sizes is not None and np.size(sizes):
        wanted = dict(zip(axes, numbers(operation, sizes), strict=True))
        size = [wanted.get(axis, x.shape[axis]) for axis in range(2, x.ndim)]
        return size, {"size": size}
    if isinstance(scales, Tensor) or scales is None:
        raise operation.refuse("scales that depend on the image")
    given = dict(zip(axes, np.asarray(scales, float).tolist(), strict=True))
    factor = [given.get(axis, 1.0) for axis in range(2, x.ndim)]
    size = [int(old * by) for old, by in zip(x.shape[2:], factor, strict=True)]
    exact = all(old * by == new for old, by, new in zip(x.shape[2:], factor, size, strict=True))
    return size, {"size": size} if exact else {"scale_factor": factor}


def _steps(operation: Operation, x: Tensor) -> tuple[list[int], list[int]]:
    """Stride and dilation."""
    ones = [1] * (x.ndim - 2)
    return operation.get("strides", ones), operation.get("dilations", ones)


def _pads(
    operation: Operation,
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """How many pixels to add before each axis, then after each."""
    rule = operation.get("auto_pad", "NOTSET")
    if rule == "VALID":
        return [0] * (2 * len(kernel))
    if rule == "NOTSET":
        return list(operation.get("pads", [0] * (2 * len(kernel))))
    sizes = zip(x.shape[2:], kernel, stride, dilation, strict=True)
    total = [
        max((-(-size // step) - 1) * step + spread * (window - 1) + 1 - size, 0)
        for size, window, step, spread in sizes
    ]
    less, more = [pad // 2 for pad in total], [pad - pad // 2 for pad in total]
    return less + more if rule == "SAME_UPPER" else more + less


def _padded(
    x: Tensor, pads: Sequence[int], value: float = 0.0, most: Sequence[int] | None = None
) -> tuple[Tensor, list[int]]:
    """A map, and the padding that is left to the layer: it knows equal sides only, up to `most`."""
    before, after = list(pads[: x.ndim - 2]), list(pads[x.ndim - 2 :])
    fits = most is None or all(pad <= limit for pad, limit in zip(before, most, strict=True))
    if before == after and fits:
        return x, before
    return F.pad(x, _order(pads), value=value), [0] * (x.ndim - 2)


def _order(pads: Sequence[int]) -> list[int]:
    """Torch's order of padding: from the last axis to the first, both sides of each."""
    half = len(pads) // 2
    return [side for axis in reversed(range(half)) for side in (pads[axis], pads[half + axis])]


LAYERS: Mapping[str, Callable[..., Any]] = {
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm,
    "LayerNormalization": layer_norm,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
}
