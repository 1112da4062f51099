"""Operations that run on whole values, many of them as one `Dense` node."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import fx

from streamdyn.engine.capture.layout import Laid, Layout
from streamdyn.errors import ModelError

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Pending:
    """A tensor that no node of the graph computes yet; it will be part of a dense one."""

    node: fx.Node

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.node)


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Of the tensor that a traced operation gives.

    Raises:
        ModelError: it depends on the image.
    """
    shape = tuple(node.meta["val"].shape)
    if not all(isinstance(size, int) for size in shape):
        where = f"layer {name}" if (name := layer_of(node)) else "the network"
        raise ModelError(
            f"the network cannot be captured: {where} gives ({operation(node)}) a tensor whose "
            f"size depends on the image"
        )
    return shape


def layer_of(node: fx.Node) -> str:
    """The layer that calls a traced operation, as the model names it; the model itself has none."""
    stack = node.meta.get("nn_module_stack") or {}
    return str([*stack.values()][-1][0]) if stack else ""


def gives_tensor(node: fx.Node) -> bool:
    """Whether a traced operation gives one tensor, and not several or none."""
    return isinstance(node.meta.get("val"), torch.Tensor)


def ancestors(targets: Iterable[fx.Node], waiting: Mapping[fx.Node, Any]) -> list[fx.Node]:
    """What of `waiting` must be computed for `targets`, in the order of `waiting`."""
    found: set[fx.Node] = set()
    stack = list(targets)
    while stack:
        node = stack.pop()
        if node in waiting and node not in found:
            found.add(node)
            stack += node.all_input_nodes
            if not gives_tensor(node):  # only its items can leave a dense node
                stack += [user for user in node.users if user.target is operator.getitem]
    return [node for node in waiting if node in found]


def extract(
    members: Iterable[fx.Node], env: Mapping[fx.Node, Any], outputs: Mapping[fx.Node, Layout]
) -> tuple[fx.GraphModule, tuple[int, ...]]:
    """A function that computes `members` of a traced graph, and the values that it takes.

    Args:
        env: what every other node stands for: laid out on a value, or a constant.
        outputs: the members to return, and the value that each is written to.
    """
    root, graph = torch.nn.Module(), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    values: dict[int, fx.Node] = {}

    def resolve(node: fx.Node) -> Any:
        if node in copies:
            return copies[node]
        given = env[node]
        if isinstance(given, Laid):
            copies[node] = given.layout.read(fx.Proxy(values[given.value])).node
        elif isinstance(given, torch.Tensor):
            name = f"constant_{len(copies)}"
            root.register_buffer(name, given)
            copies[node] = graph.get_attr(name)
        else:
            return given
        return copies[node]

    members = list(members)
    for node in members:  # placeholders come first in a traced graph
        for given in (env[source] for source in node.all_input_nodes):
            if isinstance(given, Laid) and given.value not in values:
                values[given.value] = graph.placeholder(f"value_{given.value}")
    for node in members:
        copies[node] = _freed(graph.node_copy(node, resolve))
    written = tuple(layout.write(fx.Proxy(copies[node])).node for node, layout in outputs.items())
    graph.output(written[0] if len(written) == 1 else written)
    return fx.GraphModule(root, graph), tuple(values)


def _freed(node: fx.Node) -> fx.Node:
    """A copied operation without what tied it to the device and the memory of the trace."""
    node.meta = {}
    node.kwargs = {name: value for name, value in node.kwargs.items() if name != "device"}
    if node.target in _VIEWS:
        node.target = aten.reshape.default
    return node


def rearrange(source: Layout, target: Layout) -> fx.GraphModule:
    """A function from one value of a tensor to another value of the same tensor."""
    graph = fx.Graph()
    value = fx.Proxy(graph.placeholder("value"))
    graph.output(target.write(source.read(value)).node)
    return fx.GraphModule(torch.nn.Module(), graph)


def what(members: Iterable[fx.Node]) -> str:
    """The operations of a dense node, for people: each once, without what only moves numbers."""
    names = dict.fromkeys(operation(node) for node in members)
    kept = [name for name in names if name not in _MOVES] or ["rearrange"]
    more = f" and {len(kept) - 3} more" if len(kept) > 3 else ""
    return ", ".join(kept[:3]) + more


def operation(node: fx.Node) -> str:
    """The name of a traced operation, without library and overload."""
    name: str = getattr(node.target, "__name__", str(node.target))
    return name.split(".")[0].strip("_")


_MOVES = {
    "view", "unsafe_view", "reshape", "transpose", "permute", "clone", "unsqueeze", "squeeze",
    "getitem", "expand", "detach", "alias", "to_copy", "slice", "select", "cat", "stack", "concat",
    "split_with_sizes", "repeat", "copy", "select_scatter", "t", "flatten", "contiguous",
}  # fmt: skip


_VIEWS = {aten.view.default, aten._unsafe_view.default}


def macs(members: Iterable[fx.Node]) -> int:
    """Multiply-accumulates of the convolutions and matrix products among traced operations."""
    return sum(_macs(node) for node in members)


def _macs(node: fx.Node) -> int:
    kind = operation(node)
    if kind not in _PRODUCTS:
        return 0
    tensors = [node, *(arg for arg in node.args if isinstance(arg, fx.Node) and gives_tensor(arg))]
    numbers, *shapes = (tuple(tensor.meta["val"].shape) for tensor in tensors)
    if not all(isinstance(size, int) for shape in (numbers, *shapes) for size in shape):
        return 0  # the image decides how many
    return _PRODUCTS[kind](prod(numbers), *shapes)


Shape = tuple[int, ...]


def _of_matrices(numbers: int, left: Shape, *others: Shape) -> int:
    return numbers * left[-1]


def _of_added_matrices(numbers: int, added: Shape, left: Shape, *others: Shape) -> int:
    return numbers * left[-1]


def _of_convolution(numbers: int, x: Shape, weight: Shape, *others: Shape) -> int:
    return numbers * prod(weight[1:])


def _of_transposed_convolution(numbers: int, x: Shape, weight: Shape, *others: Shape) -> int:
    return prod(x) * prod(weight[1:])


def _of_attention(numbers: int, query: Shape, key: Shape, value: Shape, *others: Shape) -> int:
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


_PRODUCTS: dict[str, Callable[..., int]] = {
    "linear": _of_matrices,
    "matmul": _of_matrices,
    "mm": _of_matrices,
    "bmm": _of_matrices,
    "addmm": _of_added_matrices,
    "baddbmm": _of_added_matrices,
    "conv1d": _of_convolution,
    "conv2d": _of_convolution,
    "conv3d": _of_convolution,
    "conv_transpose2d": _of_transposed_convolution,
    "scaled_dot_product_attention": _of_attention,
}
