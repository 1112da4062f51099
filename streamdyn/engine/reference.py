"""The plainest computation of a graph: every operation on whole maps, by torch.

It is what every faster path must agree with, and it runs on any device of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from streamdyn.engine.graph import (
    Activation,
    Affine,
    Binary,
    Channels,
    Concat,
    Constant,
    Conv,
    ConvTranspose,
    Dense,
    GlobalPool,
    Graph,
    Interleave,
    LayerNorm,
    Node,
    Op,
    Pad,
    Pool,
    Resize,
    Sides,
    Softmax,
)
from streamdyn.engine.plan import Step


def run(graph: Graph, x: Tensor) -> tuple[Tensor, ...]:
    """The tensors that the captured model returns for an image (1, 3, H, W)."""
    values: dict[int, Tensor] = {0: x}
    last = {value: number for number, node in enumerate(graph.nodes) for value in node.inputs}
    last.update(dict.fromkeys(graph.outputs, len(graph.nodes)))
    with torch.inference_mode():
        for number, node in enumerate(graph.nodes):
            inputs = [values[value] for value in node.inputs]
            given = apply(node.op, inputs, graph.shapes[node.outputs[0]], x)
            outputs = given if isinstance(given, tuple) else (given,)
            values.update(zip(node.outputs, outputs, strict=True))
            for value in {*node.inputs, *node.outputs}:
                if last.get(value, 0) <= number:  # nobody reads it any more
                    del values[value]
        tensors = zip(graph.views, graph.outputs, strict=True)
        return tuple(view(values[value]) for view, value in tensors)


def compute(
    step: Step, op: Op, inputs: Sequence[Tensor], shape: tuple[int, ...], like: Tensor
) -> dict[int, Tensor]:
    """The values that a step makes of whole inputs, by `op` in place of its own; see `apply`."""
    given = apply(op, inputs, shape, like)
    if isinstance(given, tuple):  # nothing is fused into what gives several
        return dict(zip(step.node.outputs, given, strict=True))
    if step.activation is not None:
        given = apply(step.activation, [given], shape)
    return {step.target: given}


def apply(
    op: Op, inputs: Sequence[Tensor], shape: tuple[int, ...], like: Tensor | None = None
) -> Any:
    """The output of an operation: one tensor, or a tuple of them from some `Dense` ones.

    Args:
        shape: of the output, or of the first.
        like: a tensor of the device and the dtype to compute in; None: the first input.
    """
    like = inputs[0] if like is None else like

    def moved(numbers: NDArray[Any]) -> Tensor:
        return torch.as_tensor(numbers).to(like.device, like.dtype)

    match op:
        case Conv():
            x, padding = _padded(inputs[0], op.padding)
            weight, bias = moved(op.weight), moved(op.bias)
            return F.conv2d(x, weight, bias, op.stride, padding, op.dilation, op.groups)
        case ConvTranspose():
            return _conv_transpose(op, inputs[0], moved(op.weight), moved(op.bias), shape)
        case Affine():
            scale, shift = moved(op.scale), moved(op.shift)
            return inputs[0] * scale[:, None, None] + shift[:, None, None]
        case Activation():
            return _activation(op, inputs[0])
        case Binary():
            return _BINARY[op.kind](inputs[0], inputs[1])
        case Concat():
            return torch.cat([*inputs], 1)
        case Channels():
            return inputs[0][:, torch.as_tensor(op.indices, device=like.device)]
        case Pool():
            return _pool(op, inputs[0])
        case Resize(mode="nearest"):
            return F.interpolate(inputs[0], shape[2:])
        case Resize():
            return F.interpolate(inputs[0], shape[2:], mode=op.mode, align_corners=op.align_corners)
        case LayerNorm():
            x, weight, bias = inputs[0].movedim(1, -1), moved(op.weight), moved(op.bias)
            return F.layer_norm(x, weight.shape, weight, bias, op.epsilon).movedim(-1, 1)
        case Softmax():
            return inputs[0].softmax(1)
        case Pad():
            return F.pad(inputs[0], _order(op.padding), value=op.value)
        case Interleave(stride=(rows, cols)):
            phases = torch.cat([*inputs]).view(rows, cols, *inputs[0].shape[1:])
            phases = phases.permute(2, 3, 0, 4, 1)
            return phases.flatten(3).flatten(1, 2)[None, :, : shape[2], : shape[3]]
        case GlobalPool():
            return inputs[0].mean((2, 3), keepdim=True)
        case Constant():
            return moved(op.value)
        case Dense():
            return _dense(op, inputs, like)


def _dense(op: Dense, inputs: Sequence[Tensor], like: Tensor) -> Any:
    if isinstance(op.function, torch.nn.Module):
        op.function.to(like.device)
    given = op.function(*(x.float() if x.is_floating_point() else x for x in inputs))

    def back(x: Tensor) -> Tensor:
        return x.to(like.dtype) if x.dtype == torch.float32 else x

    return tuple(map(back, given)) if isinstance(given, tuple) else back(given)


def macs(node: Node, graph: Graph) -> int:
    """Multiply-accumulates of a node that computes whole values."""
    match node.op:
        case Conv():
            return prod(graph.shapes[node.outputs[0]]) * prod(node.op.weight.shape[1:])
        case ConvTranspose():
            return prod(graph.shapes[node.inputs[0]]) * prod(node.op.weight.shape[1:])
        case Dense():
            return node.op.macs
        case _:
            return 0


def _order(sides: Sides) -> tuple[int, int, int, int]:
    """Sides in torch's order: left, right, top, bottom."""
    top, left, bottom, right = sides
    return left, right, top, bottom


def _padded(x: Tensor, sides: Sides, value: float = 0.0) -> tuple[Tensor, tuple[int, int]]:
    """A map, and how far torch is to pad it: it takes equal sides only."""
    if sides[:2] == sides[2:] and min(sides) >= 0 and value == 0:
        return x, sides[:2]
    return F.pad(x, _order(sides), value=value), (0, 0)


def _conv_transpose(
    op: ConvTranspose, x: Tensor, weight: Tensor, bias: Tensor, shape: tuple[int, ...]
) -> Tensor:
    least = [
        (x.shape[axis] - 1) * op.stride[axis - 2]
        - 2 * op.padding[axis - 2]
        + op.dilation[axis - 2] * (weight.shape[axis] - 1)
        + 1
        for axis in (2, 3)
    ]
    extra = [wanted - given for wanted, given in zip(shape[2:], least, strict=True)]
    return F.conv_transpose2d(x, weight, bias, op.stride, op.padding, extra, op.groups, op.dilation)


def _pool(op: Pool, x: Tensor) -> Tensor:
    if op.kind == "max":
        x, _ = _padded(x, op.padding, -torch.inf)
        return F.max_pool2d(x, op.kernel, op.stride, 0, op.dilation)
    ones = torch.ones_like(x[:, :1])
    sums, counts = (
        F.avg_pool2d(F.pad(each, _order(op.padding), value=fill), op.kernel, op.stride)
        for each, fill in ((x, 0.0), (ones, float(op.count_padding)))
    )
    return sums / counts


def _activation(op: Activation, x: Tensor) -> Tensor:
    match op.kind:
        case "clip":
            return x.clamp(op.low, op.high)
        case "leaky_relu":
            return F.leaky_relu(x, op.slope)
        case "elu":
            return F.elu(x, op.slope)
        case "gelu_tanh":
            return F.gelu(x, approximate="tanh")
        case _:
            return _ACTIVATIONS[op.kind](x)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "mish": F.mish,
    "softplus": F.softplus,
}

_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "subtract": torch.subtract,
    "multiply": torch.multiply,
    "divide": torch.divide,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}
