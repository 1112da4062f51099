"""ONNX operators on numbers: activations, arithmetic, reductions, products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from streamdyn.engine.capture.onnx_operation import Operation, Value, operand, setting, tensor

Run = Callable[..., Any]


def _each(function: Callable[[Tensor], Tensor]) -> Run:
    return lambda operation, x: function(tensor(x))


def _pair(function: Callable[..., Tensor]) -> Run:
    return lambda operation, x, y: function(operand(x), operand(y))


def _all(function: Callable[[Any, Any], Tensor]) -> Run:
    return lambda operation, *inputs: reduce(function, map(tensor, inputs))


def leaky_relu(operation: Operation, x: Tensor) -> Tensor:
    return F.leaky_relu(x, operation.get("alpha", 0.01))


def elu(operation: Operation, x: Tensor) -> Tensor:
    return F.elu(x, operation.get("alpha", 1.0))


def celu(operation: Operation, x: Tensor) -> Tensor:
    return F.celu(x, operation.get("alpha", 1.0))


def prelu(operation: Operation, x: Tensor, slope: Value) -> Tensor:
    slopes = tensor(slope)
    if slopes.numel() in (1, x.shape[1]):
        return F.prelu(x, slopes.flatten())
    return torch.where(x < 0, x * slopes, x)


def gelu(operation: Operation, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=operation.get("approximate", "none"))


def hard_sigmoid(operation: Operation, x: Tensor) -> Tensor:
    alpha, beta = operation.get("alpha", 0.2), operation.get("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return F.hardsigmoid(x)
    line: Tensor = x * alpha + beta
    return line.clamp(0, 1)


def clip(operation: Operation, x: Tensor, low: Value = None, high: Value = None) -> Tensor:
    least: Any = operation.get("min") if low is None else operand(low)
    most: Any = operation.get("max") if high is None else operand(high)
    return x if least is None and most is None else x.clamp(least, most)


def divide(operation: Operation, x: Value, y: Value) -> Tensor:
    left, right = operand(x), operand(y)
    if isinstance(left, Tensor) and not left.is_floating_point():
        return torch.div(left, right, rounding_mode="trunc")
    return left / right  # type: ignore[return-value]  # one of them is a tensor


def power(operation: Operation, x: Value, y: Value) -> Tensor:
    return torch.pow(operand(x), operand(y))  # type: ignore[arg-type]  # one of them is a tensor


def where(operation: Operation, condition: Value, x: Value, y: Value) -> Tensor:
    return torch.where(tensor(condition), tensor(x), tensor(y))


def cast(operation: Operation, x: Tensor, like: Value = None) -> Tensor:
    """To whole numbers or truth values; all floating point numbers are in single precision."""
    if like is not None:
        return x.to(tensor(like).dtype)
    kinds = {6: torch.int32, 7: torch.int64, 9: torch.bool, 3: torch.int8, 2: torch.uint8}
    return x.to(kinds.get(operation.get("to"), torch.float32))


def _reduction(function: Callable[[Tensor, list[int], bool], Tensor]) -> Run:
    def run(operation: Operation, x: Tensor, axes: Value = None) -> Tensor:
        chosen = setting(operation, "axes", axes)
        if chosen == [] or chosen is None:
            if operation.get("noop_with_empty_axes", 0):
                return x
            chosen = [*range(x.ndim)]
        return function(x, chosen, bool(operation.get("keepdims", 1)))

    return run


def _arg(function: Callable[[Tensor, int, bool], Tensor]) -> Run:
    def run(operation: Operation, x: Tensor) -> Tensor:
        return function(x, operation.get("axis", 0), bool(operation.get("keepdims", 1)))

    return run


def top_k(operation: Operation, x: Tensor, count: Value = None) -> tuple[Tensor, Tensor]:
    (k,) = setting(operation, "k", count) or [1]
    axis, largest = operation.get("axis", -1), bool(operation.get("largest", 1))
    values, indices = torch.topk(x, k, axis, largest, bool(operation.get("sorted", 1)))
    return values, indices


def softmax(operation: Operation, x: Tensor) -> Tensor:
    function = torch.softmax if operation.kind == "Softmax" else torch.log_softmax
    if operation.opset >= 13:
        return function(x, operation.get("axis", -1))
    axis = operation.get("axis", 1) % x.ndim
    if all(size == 1 for size in x.shape[axis + 1 :]):
        return function(x, axis)
    return function(x.flatten(axis), axis).view(x.shape)  # over all axes from this one on


def gemm(operation: Operation, a: Value, b: Value, c: Value = None) -> Tensor:
    left = tensor(a).T if operation.get("transA", 0) else tensor(a)
    right = tensor(b) if operation.get("transB", 0) else tensor(b).T
    product = F.linear(left, right * operation.get("alpha", 1.0))
    return product if c is None else product + tensor(c) * operation.get("beta", 1.0)


def einsum(operation: Operation, *inputs: Value) -> Tensor:
    return torch.einsum(operation.get("equation"), *map(tensor, inputs))


ARITHMETIC: Mapping[str, Run] = {
    "Relu": _each(torch.relu),
    "Sigmoid": _each(torch.sigmoid),
    "Tanh": _each(torch.tanh),
    "HardSwish": _each(F.hardswish),
    "Mish": _each(F.mish),
    "Softplus": _each(F.softplus),
    "Softsign": _each(F.softsign),
    "Selu": _each(F.selu),
    "Exp": _each(torch.exp),
    "Log": _each(torch.log),
    "Sqrt": _each(torch.sqrt),
    "Neg": _each(torch.neg),
    "Abs": _each(torch.abs),
    "Erf": _each(torch.erf),
    "Sin": _each(torch.sin),
    "Cos": _each(torch.cos),
    "Floor": _each(torch.floor),
    "Ceil": _each(torch.ceil),
    "Round": _each(torch.round),
    "Sign": _each(torch.sign),
    "Reciprocal": _each(torch.reciprocal),
    "Not": _each(torch.logical_not),
    "LeakyRelu": leaky_relu,
    "Elu": elu,
    "Celu": celu,
    "PRelu": prelu,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "Clip": clip,
    "Add": _pair(lambda x, y: x + y),
    "Sub": _pair(lambda x, y: x - y),
    "Mul": _pair(lambda x, y: x * y),
    "Div": divide,
    "Pow": power,
    "Equal": _pair(lambda x, y: x == y),
    "Greater": _pair(lambda x, y: x > y),
    "GreaterOrEqual": _pair(lambda x, y: x >= y),
    "Less": _pair(lambda x, y: x < y),
    "LessOrEqual": _pair(lambda x, y: x <= y),
    "And": _pair(lambda x, y: x & y),
    "Or": _pair(lambda x, y: x | y),
    "Mod": _pair(torch.remainder),
    "Max": _all(torch.maximum),
    "Min": _all(torch.minimum),
    "Sum": _all(torch.add),
    "Where": where,
    "Cast": cast,
    "CastLike": cast,
    "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMax": _reduction(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
    "TopK": top_k,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "Gemm": gemm,
    "MatMul": lambda operation, a, b: tensor(a) @ tensor(b),
    "Einsum": einsum,
}
