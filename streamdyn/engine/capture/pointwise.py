"""Capture of operations on each number, alone or together with another tensor's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from streamdyn.engine.capture.builder import Builder, Handle, NotOnMaps, need_constants
from streamdyn.engine.capture.dense import Pending
from streamdyn.engine.capture.layout import CHANNELS, COLUMNS, ROWS, Laid, Layout
from streamdyn.engine.graph import Activation, ActivationKind, Binary, BinaryKind

aten = torch.ops.aten

Constant = torch.Tensor | float
Operand = Handle | Constant

_INFINITY = float("inf")
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def activate(b: Builder, x: Handle, kind: ActivationKind, **parameters: float) -> Laid:
    """Any activation of a tensor, wherever its channels are."""
    x = b.on_map(x)
    return b.laid(Activation(kind, **parameters), [x.value], x.layout)


def _plain(kind: ActivationKind) -> Callable[[Builder, Handle], Laid]:
    return lambda b, x: activate(b, x, kind)


def relu(b: Builder, x: Handle) -> Laid:
    return activate(b, x, "clip", low=0.0)


def relu6(b: Builder, x: Handle) -> Laid:
    return activate(b, x, "clip", low=0.0, high=6.0)


def clamp(b: Builder, x: Handle, min: Constant | None = None, max: Constant | None = None) -> Laid:
    need_constants(min, max)
    limits = [torch.as_tensor(limit) for limit in (min, max) if limit is not None]
    if any(limit.numel() > 1 for limit in limits):
        raise NotOnMaps
    low = -_INFINITY if min is None else float(min)
    return activate(b, x, "clip", low=low, high=_INFINITY if max is None else float(max))


def hardtanh(b: Builder, x: Handle, low: float = -1.0, high: float = 1.0) -> Laid:
    return activate(b, x, "clip", low=low, high=high)


def gelu(b: Builder, x: Handle, *, approximate: str = "none") -> Laid:
    return activate(b, x, "gelu" if approximate == "none" else "gelu_tanh")


def leaky_relu(b: Builder, x: Handle, slope: float = 0.01) -> Laid:
    return activate(b, x, "leaky_relu", slope=slope)


def elu(
    b: Builder, x: Handle, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0
) -> Laid:
    if input_scale != 1:
        raise NotOnMaps
    x = activate(b, x, "elu", slope=alpha)
    return x if scale == 1 else b.affine(x, scale, 0.0)


def selu(b: Builder, x: Handle) -> Laid:
    return elu(b, x, _SELU_ALPHA, _SELU_SCALE)


def celu(b: Builder, x: Handle, alpha: float = 1.0) -> Laid:
    return b.affine(elu(b, b.affine(b.on_map(x), 1 / alpha, 0.0)), alpha, 0.0)


def softplus(b: Builder, x: Handle, beta: float = 1.0, threshold: float = 20.0) -> Laid:
    if (beta, threshold) != (1, 20):
        raise NotOnMaps
    return activate(b, x, "softplus")


def log_sigmoid(b: Builder, x: Handle) -> Laid:
    return negate(b, activate(b, negate(b, x), "softplus"))


def prelu(b: Builder, x: Handle, slopes: torch.Tensor) -> Laid:
    """The positive part, plus the negative part times a slope per channel."""
    need_constants(slopes)
    x = b.with_channels_at(x, 1) if slopes.numel() > 1 else b.on_map(x)
    negative = activate(b, x, "clip", high=0.0)
    return add(b, relu(b, x), b.affine(negative, slopes.numpy(), 0.0))


def glu(b: Builder, x: Handle, axis: int = -1) -> Laid:
    """One half of the channels, times the sigmoid of the other."""
    x = b.with_channels_at(x, axis)
    half = x.layout.base[CHANNELS] // 2
    value, gate = (b.take(x, axis, np.arange(first, first + half)) for first in (0, half))
    return multiply(b, value, activate(b, gate, "sigmoid"))


def negate(b: Builder, x: Handle) -> Laid:
    return b.affine(b.on_map(x), -1.0, 0.0)


def absolute(b: Builder, x: Handle) -> Laid:
    return _combine(b, "maximum", x, negate(b, x))


def power(b: Builder, x: Operand, exponent: Operand) -> Laid:
    if isinstance(exponent, (int, float)) and exponent == 2:
        return multiply(b, x, x)
    raise NotOnMaps


def square(b: Builder, x: Handle) -> Laid:
    return multiply(b, x, x)


def add(b: Builder, x: Operand, y: Operand, *, alpha: float = 1) -> Laid:
    return _combine(b, "add", x, _times(b, y, alpha))


def subtract(b: Builder, x: Operand, y: Operand, *, alpha: float = 1) -> Laid:
    return _combine(b, "subtract", x, _times(b, y, alpha))


def subtract_from(b: Builder, x: Operand, y: Operand, alpha: float = 1) -> Laid:
    return subtract(b, y, x, alpha=alpha)


def multiply(b: Builder, x: Operand, y: Operand) -> Laid:
    return _combine(b, "multiply", x, y)


def divide(b: Builder, x: Operand, y: Operand) -> Laid:
    return _combine(b, "divide", x, y)


def maximum(b: Builder, x: Operand, y: Operand) -> Laid:
    return _combine(b, "maximum", x, y)


def minimum(b: Builder, x: Operand, y: Operand) -> Laid:
    return _combine(b, "minimum", x, y)


def _times(b: Builder, x: Operand, factor: float) -> Operand:
    if factor == 1:
        return x
    return b.affine(b.on_map(x), factor, 0.0) if isinstance(x, (Laid, Pending)) else x * factor


def _combine(b: Builder, kind: BinaryKind, x: Operand, y: Operand) -> Laid:
    if isinstance(x, (Laid, Pending)):
        if isinstance(y, (Laid, Pending)):
            return _pair(b, kind, x, y)
        return _with_constant(b, kind, b.on_map(x), y)
    if kind == "divide" or not isinstance(y, (Laid, Pending)):
        raise NotOnMaps
    if kind == "subtract":
        return _with_constant(b, "add", negate(b, y), x)
    return _with_constant(b, kind, b.on_map(y), x)


def _with_constant(b: Builder, kind: BinaryKind, x: Laid, constant: Constant) -> Laid:
    if x.shape != b.shape:  # the constant is larger
        raise NotOnMaps
    numbers = b.per_channel(x, constant)
    match kind:
        case "add" if numbers is not None:
            return b.affine(x, 1.0, numbers)
        case "subtract" if numbers is not None:
            return b.affine(x, 1.0, -numbers)
        case "multiply" if numbers is not None:
            return b.affine(x, numbers, 0.0)
        case "divide" if numbers is not None and numbers.all():
            return b.affine(x, np.float32(1) / numbers, 0.0)
    other = b.constant(x, constant)
    return b.laid(Binary(kind), [x.value, other.value], x.layout)


def _pair(b: Builder, kind: BinaryKind, x: Handle, y: Handle) -> Laid:
    if x.shape != b.shape:
        if y.shape != b.shape or kind == "divide":
            raise NotOnMaps
        swapped = _pair(b, kind, y, x)
        return negate(b, swapped) if kind == "subtract" else swapped
    if isinstance(x, Pending) and isinstance(y, Laid) and y.shape == x.shape:
        x = b.relay(x, b.on_map(y).layout)
    x = b.on_map(x)
    y = b.relay(y, x.layout) if y.shape == x.shape else _broadcast(b, y, x.layout)
    return b.laid(Binary(kind), [x.value, y.value], x.layout)


def _broadcast(b: Builder, y: Handle, onto: Layout) -> Laid:
    """A tensor of one number per channel, or per pixel, of the map that it is combined with."""
    missing = len(onto.shape) - len(y.shape)
    for target in (onto.reduced(ROWS, COLUMNS), onto.reduced(CHANNELS)):
        if target.shape == (1,) * missing + y.shape:
            y = b.relay(y, Layout(target.base, target.axes[missing:]))
            return Laid(y.value, target)
    raise NotOnMaps


POINTWISE: Mapping[Any, Callable[..., Any]] = {
    aten.relu.default: relu,
    aten.relu6.default: relu6,
    aten.clamp.default: clamp,
    aten.clamp.Tensor: clamp,
    aten.clamp_min.default: clamp,
    aten.hardtanh.default: hardtanh,
    aten.gelu.default: gelu,
    aten.leaky_relu.default: leaky_relu,
    aten.elu.default: elu,
    aten.selu.default: selu,
    aten.celu.default: celu,
    aten.prelu.default: prelu,
    aten.glu.default: glu,
    aten.softplus.default: softplus,
    aten.log_sigmoid.default: log_sigmoid,
    aten.silu.default: _plain("silu"),
    aten.mish.default: _plain("mish"),
    aten.tanh.default: _plain("tanh"),
    aten.sigmoid.default: _plain("sigmoid"),
    aten.hardswish.default: _plain("hardswish"),
    aten.hardsigmoid.default: _plain("hardsigmoid"),
    aten.neg.default: negate,
    aten.abs.default: absolute,
    aten.square.default: square,
    aten.pow.Tensor_Scalar: power,
    aten.add.Tensor: add,
    aten.add.Scalar: add,
    aten.sub.Tensor: subtract,
    aten.sub.Scalar: subtract,
    aten.rsub.Scalar: subtract_from,
    aten.rsub.Tensor: subtract_from,
    aten.mul.Tensor: multiply,
    aten.mul.Scalar: multiply,
    aten.div.Tensor: divide,
    aten.div.Scalar: divide,
    aten.maximum.default: maximum,
    aten.minimum.default: minimum,
}
