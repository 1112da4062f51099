"""ONNX operators that move numbers, or tell of shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from streamdyn.engine.capture.onnx_operation import Operation, Value, numbers, setting, tensor


def shape(operation: Operation, x: Tensor) -> NDArray[np.int64]:
    return np.array(x.shape[operation.get("start", 0) : operation.get("end")], np.int64)


def size(operation: Operation, x: Tensor) -> NDArray[np.int64]:
    return np.array(x.numel(), np.int64)


def reshape(operation: Operation, x: Tensor, wanted: Value = None) -> Tensor:
    sizes = setting(operation, "shape", wanted) or []
    copies = not operation.get("allowzero", 0)
    return x.reshape([x.shape[n] if s == 0 and copies else s for n, s in enumerate(sizes)])


def flatten(operation: Operation, x: Tensor) -> Tensor:
    axis = operation.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def transpose(operation: Operation, x: Tensor) -> Tensor:
    return x.permute(operation.get("perm", [*range(x.ndim)][::-1]))


def squeeze(operation: Operation, x: Tensor, axes: Value = None) -> Tensor:
    chosen = setting(operation, "axes", axes)
    return x.squeeze() if chosen is None else x.squeeze(chosen)


def unsqueeze(operation: Operation, x: Tensor, axes: Value = None) -> Tensor:
    chosen = setting(operation, "axes", axes) or []
    rank = x.ndim + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def concat(operation: Operation, *inputs: Value) -> Tensor:
    return torch.cat([tensor(value) for value in inputs], operation.get("axis", 1))


def split(operation: Operation, x: Tensor, sizes: Value = None) -> tuple[Tensor, ...]:
    axis = operation.get("axis", 0)
    chosen = setting(operation, "split", sizes)
    if chosen is None:
        parts = operation.get("num_outputs", operation.outputs)
        return torch.split(x, -(-x.shape[axis] // parts), axis)
    return torch.split(x, chosen, axis)


def slice_(
    operation: Operation,
    x: Tensor,
    starts: Value = None,
    ends: Value = None,
    axes: Value = None,
    steps: Value = None,
) -> Tensor:
    first = setting(operation, "starts", starts) or []
    last = setting(operation, "ends", ends) or []
    chosen = setting(operation, "axes", axes) or [*range(len(first))]
    strides = setting(operation, "steps", steps) or [1] * len(first)
    for start, end, axis, step in zip(first, last, chosen, strides, strict=True):
        indices = range(x.shape[axis])[slice(start, end, step)]
        if step < 0:
            x = x.index_select(axis, torch.tensor([*indices]))
        else:
            x = x[(slice(None),) * (axis % x.ndim) + (slice(start, end, step),)]
    return x


def gather(operation: Operation, x: Value, indices: Value) -> Tensor:
    source, axis = tensor(x), operation.get("axis", 0)
    if isinstance(indices, Tensor):
        rest = source.movedim(axis, 0)[indices]
        return rest.movedim([*range(indices.ndim)], [*range(axis, axis + indices.ndim)])
    chosen = np.asarray(indices, np.int64)
    if chosen.ndim == 0:
        return source.select(axis, int(chosen))
    wanted = torch.from_numpy(chosen.ravel() % source.shape[axis])
    axis %= source.ndim
    shape = (*source.shape[:axis], *chosen.shape, *source.shape[axis + 1 :])
    return source.index_select(axis, wanted).reshape(shape)


def gather_elements(operation: Operation, x: Value, indices: Value) -> Tensor:
    source, axis, where = tensor(x), operation.get("axis", 0), tensor(indices)
    return source.gather(axis, where.remainder(source.shape[axis]))


def expand(operation: Operation, x: Tensor, wanted: Value) -> Tensor:
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(numbers(operation, wanted))))


def tile(operation: Operation, x: Tensor, times: Value) -> Tensor:
    return x.repeat(numbers(operation, times))


def depth_to_space(operation: Operation, x: Tensor) -> Tensor:
    factor = operation.get("blocksize")
    if operation.get("mode", "DCR") == "DCR":  # the channels come last, torch has them first
        _, channels, height, width = x.shape
        x = x.view(1, factor * factor, -1, height, width).transpose(1, 2)
        x = x.reshape(1, channels, height, width)
    return F.pixel_shuffle(x, factor)


def space_to_depth(operation: Operation, x: Tensor) -> Tensor:
    factor = operation.get("blocksize")
    y = F.pixel_unshuffle(x, factor)
    return y.view(1, -1, factor * factor, *y.shape[2:]).transpose(1, 2).reshape(y.shape)


def same(operation: Operation, x: Value, *more: Value) -> Value:
    return x


MOVES: Mapping[str, Callable[..., Any]] = {
    "Identity": same,
    "Dropout": same,
    "Shape": shape,
    "Size": size,
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "GatherElements": gather_elements,
    "Expand": expand,
    "Tile": tile,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
