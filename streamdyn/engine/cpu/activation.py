"""Activation functions on vectors: what products and elementwise kernels end with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from streamdyn.engine.cpu.emit import inlined
from streamdyn.engine.cpu.simd import (
    clip,
    copysign,
    magnitude,
    maximum,
    minimum,
    shift_exponent,
    splat,
)
from streamdyn.engine.graph import Activation, ActivationKind

if TYPE_CHECKING:
    from streamdyn.engine.cpu.simd import Vector

_KINDS: Final[tuple[str, ...]] = get_args(ActivationKind)
CLIP: Final = _KINDS.index("clip")
SILU: Final = _KINDS.index("silu")
HARDSWISH: Final = _KINDS.index("hardswish")
HARDSIGMOID: Final = _KINDS.index("hardsigmoid")
SIGMOID: Final = _KINDS.index("sigmoid")
TANH: Final = _KINDS.index("tanh")
GELU: Final = _KINDS.index("gelu")
GELU_TANH: Final = _KINDS.index("gelu_tanh")
LEAKY_RELU: Final = _KINDS.index("leaky_relu")
ELU: Final = _KINDS.index("elu")
MISH: Final = _KINDS.index("mish")
SOFTPLUS: Final = _KINDS.index("softplus")

# exp(x) = 2**n * exp(r), |r| <= log(2) / 2. The high part of log(2) has few enough bits that
# n * LN2_HIGH is exact; ROUND leaves n, rounded, in the lowest bits of a float32.
LOG2E: Final = 1.4426950408889634
LN2_HIGH: Final = 0.693359375
LN2_LOW: Final = -2.12194440054690583e-4
ROUND: Final = 12582912.0
EXP_LOWEST: Final = -87.33654  # below, the result is not a normal float32
EXP_HIGHEST: Final = 88.72283
# Abramowitz and Stegun, 7.1.26: erf to 1.5e-7.
ERF_P: Final = 0.3275911
ERF: Final = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
ROOT_HALF: Final = float(np.sqrt(0.5))
ROOT_2_PI: Final = float(np.sqrt(2 / np.pi))


def arguments(activation: Activation | None) -> tuple[int, float, float, float]:
    """What `apply` takes after a vector: kind, low, high, slope."""
    if activation is None:
        return CLIP, -np.inf, np.inf, 0.0
    a = activation
    return _KINDS.index(a.kind), float(a.low), float(a.high), float(a.slope)


@inlined
def exp(x: Vector) -> Vector:
    """The exponential, to 2e-7 relative; numbers beyond the range of float32 are cut off."""
    x = clip(x, EXP_LOWEST, EXP_HIGHEST)
    rounded = x * LOG2E + ROUND
    n = rounded - ROUND
    r = x - n * LN2_HIGH - n * LN2_LOW
    p = r * (1 / 5040) + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    result: Vector = shift_exponent(p, rounded)
    return result


@inlined
def sigmoid(x: Vector) -> Vector:
    """1 / (1 + exp(-x))."""
    return 1.0 / (exp(0.0 - x) + 1.0)


@inlined
def tanh(x: Vector) -> Vector:
    """The hyperbolic tangent, to 1e-7 of 1."""
    return 1.0 - 2.0 / (exp(x * 2.0) + 1.0)


@inlined
def erf(x: Vector) -> Vector:
    """The error function, to 2e-7 of 1."""
    size = magnitude(x)
    t = 1.0 / (size * ERF_P + 1.0)
    p = t * ERF[4] + ERF[3]
    p = p * t + ERF[2]
    p = p * t + ERF[1]
    p = p * t + ERF[0]
    result: Vector = copysign(1.0 - p * t * exp(0.0 - size * size), x)
    return result


@inlined
def softplus(x: Vector) -> Vector:
    """log(1 + exp(x)), without overflow."""
    y = exp(0.0 - magnitude(x))
    z = y / (y + 2.0)  # log(1 + y) = 2 artanh(z), 0 <= z <= 1/3
    s = z * z
    p = s * (1 / 13) + 1 / 11
    p = p * s + 1 / 9
    p = p * s + 1 / 7
    p = p * s + 1 / 5
    p = p * s + 1 / 3
    p = p * s + 1.0
    above: Vector = maximum(x, splat(0.0))
    return above + z * p * 2.0


@inlined
def mish(x: Vector) -> Vector:
    """x * tanh(softplus(x)), without the logarithm."""
    y = exp(minimum(x, splat(20.0)))  # beyond, the factor is 1
    w = y * (y + 2.0)
    return x * (w / (w + 2.0))


@inlined
def apply(x: Vector, kind: int, low: float, high: float, slope: float) -> Vector:
    """The activation function of a kind."""
    if kind == CLIP:
        y: Vector = clip(x, low, high)
    elif kind == SILU:
        y = x * sigmoid(x)
    elif kind == HARDSWISH:
        y = x * clip(x * (1 / 6) + 0.5, 0.0, 1.0)
    elif kind == HARDSIGMOID:
        y = clip(x * (1 / 6) + 0.5, 0.0, 1.0)
    elif kind == SIGMOID:
        y = sigmoid(x)
    elif kind == TANH:
        y = tanh(x)
    elif kind == GELU:
        y = x * 0.5 * (erf(x * ROOT_HALF) + 1.0)
    elif kind == GELU_TANH:
        y = x * sigmoid((x * x * 0.044715 + 1.0) * x * (2 * ROOT_2_PI))
    elif kind == LEAKY_RELU:
        y = maximum(x, splat(0.0)) + minimum(x, splat(0.0)) * slope
    elif kind == ELU:
        y = maximum(x, splat(0.0)) + (exp(minimum(x, splat(0.0))) - 1.0) * slope
    elif kind == MISH:
        y = mish(x)
    else:
        y = softplus(x)
    return y
