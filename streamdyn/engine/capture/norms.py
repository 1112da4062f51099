"""Capture of norms, and of softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from streamdyn.engine.capture.builder import Builder, Handle, NotOnMaps, need_constants
from streamdyn.engine.capture.layout import CHANNELS, Laid
from streamdyn.engine.capture.statistics import GroupStatistics
from streamdyn.engine.graph import Binary, Dense, LayerNorm, Node, Softmax

aten = torch.ops.aten


def batch_norm(
    b: Builder,
    x: Handle,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    epsilon: float,
) -> tuple[Laid, None, None]:
    """Batch norm that is not in training: also gives the statistics of the batch, of no use."""
    need_constants(weight, bias, mean, variance)
    x = b.with_channels_at(x, 1) if len(x.shape) != 4 else b.image(x)
    scale = (variance.double() + epsilon).rsqrt()  # in double: what is folded is rounded once
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    return b.affine(x, scale.float().numpy(), shift.float().numpy()), None, None


def layer_norm(
    b: Builder,
    x: Handle,
    shape: Sequence[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    epsilon: float = 1e-5,
    enable_cudnn: bool = True,
) -> Laid:
    need_constants(weight, bias)
    if len(shape) != 1:
        raise NotOnMaps
    x = b.with_channels_at(x, -1)
    scale = np.ones(shape[0], np.float32) if weight is None else weight.numpy()
    shift = np.zeros(shape[0], np.float32) if bias is None else bias.numpy()
    return b.laid(LayerNorm(scale, shift, epsilon), [x.value], x.layout)


def group_norm(
    b: Builder,
    x: Handle,
    groups: int,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    epsilon: float = 1e-5,
    enable_cudnn: bool = True,
) -> Laid:
    """Its statistics are of the whole map; only applying them is an affair of single pixels."""
    need_constants(weight, bias)
    x = b.image(x)
    function = GroupStatistics(x.shape[CHANNELS], groups, weight, bias, epsilon)
    factors = (1, x.shape[CHANNELS], 1, 1)
    scale, shift = len(b.shapes), len(b.shapes) + 1
    b.shapes += [factors, factors]
    op = Dense(function, "statistics of group norm")
    b.nodes.append(Node(b.name, op, (x.value,), (scale, shift)))
    scaled = b.map(Binary("multiply"), [x.value, scale], x.shape)
    return b.map(Binary("add"), [scaled.value, shift], x.shape)


def instance_norm(
    b: Builder,
    x: Handle,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    use_input: bool,
    momentum: float,
    epsilon: float,
    enable_cudnn: bool,
) -> Laid:
    if not use_input:
        raise NotOnMaps
    return group_norm(b, x, x.shape[1], weight, bias, epsilon)


def softmax(b: Builder, x: Handle, axis: int, dtype: torch.dtype | None = None) -> Laid:
    x = b.with_channels_at(b.on_map(x), axis)
    return b.laid(Softmax(), [x.value], x.layout)


NORMS: Mapping[Any, Callable[..., Any]] = {
    aten._native_batch_norm_legit_no_training.default: batch_norm,
    aten.layer_norm.default: layer_norm,
    aten.group_norm.default: group_norm,
    aten.instance_norm.default: instance_norm,
    aten.softmax.int: softmax,
}
