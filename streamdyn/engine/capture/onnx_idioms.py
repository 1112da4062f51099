"""Operators that older ONNX files spell out in simpler ones, and that are better seen whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import isclose, sqrt
from typing import Any

import onnx
from numpy.typing import NDArray


def with_gelu(
    nodes: Iterable[onnx.NodeProto], constants: Mapping[str, NDArray[Any]]
) -> list[onnx.NodeProto]:
    """The nodes with a Gelu for each `x * 0.5 * (1 + erf(x / sqrt(2)))`, in any order."""
    graph = _Links([*nodes], constants)
    for erf in [node for node in graph.nodes if node.op_type == "Erf"]:
        if found := _spelled_out(graph, erf):
            source, members = found
            gelu = onnx.helper.make_node("Gelu", [source], members[-1].output, members[-1].name)
            place = graph.nodes.index(members[-1])
            graph.nodes[place] = gelu
            graph.nodes = [node for node in graph.nodes if node not in members]
    return graph.nodes


class _Links:
    """What makes each value of a graph, and what reads it."""

    def __init__(self, nodes: list[onnx.NodeProto], constants: Mapping[str, NDArray[Any]]) -> None:
        self.nodes = nodes
        self.numbers = {name: float(a.ravel()[0]) for name, a in constants.items() if a.size == 1}
        self.makers: dict[str, onnx.NodeProto] = {}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in nodes:
            for name in node.input:
                self.readers[name].append(node)
            for name in node.output:
                self.makers[name] = node
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                array = onnx.numpy_helper.to_array(node.attribute[0].t)
                if array.size == 1 and array.dtype.kind == "f":
                    self.numbers[node.output[0]] = float(array.ravel()[0])

    def reader(self, name: str, kind: str) -> onnx.NodeProto | None:
        """The one node that reads a value, if it is of a kind."""
        readers = self.readers[name]
        return readers[0] if len(readers) == 1 and readers[0].op_type == kind else None

    def other(self, node: onnx.NodeProto, name: str) -> str:
        """The other input of a node of two."""
        return str(node.input[1] if node.input[0] == name else node.input[0])

    def is_number(self, name: str, number: float) -> bool:
        return name in self.numbers and isclose(self.numbers[name], number, rel_tol=1e-4)


def _spelled_out(graph: _Links, erf: onnx.NodeProto) -> tuple[str, list[onnx.NodeProto]] | None:
    """What a Gelu around `erf` reads, and the nodes that it is made of, the last one last."""
    scaled, plus = graph.makers.get(erf.input[0]), graph.reader(erf.output[0], "Add")
    if scaled is None or plus is None or not graph.is_number(graph.other(plus, erf.output[0]), 1):
        return None
    source = _divided(graph, scaled)
    members, value, factors = [erf, plus], plus.output[0], set[str]()
    while source and (product := graph.reader(value, "Mul")) and len(members) < 4:
        members.append(product)
        factors |= _factors(graph, graph.other(product, value), source)
        value = product.output[0]
        if factors == {"x", "half"}:
            return source, members
    return None


def _divided(graph: _Links, node: onnx.NodeProto) -> str | None:
    """What a node divides by the square root of two."""
    for place, name in enumerate(node.input):
        if node.op_type == "Div" and place == 1 and graph.is_number(name, sqrt(2)):
            return str(node.input[0])
        if node.op_type == "Mul" and graph.is_number(name, sqrt(0.5)):
            return graph.other(node, name)
    return None


def _factors(graph: _Links, name: str, source: str) -> set[str]:
    """Which factors of a Gelu a value is: its input, one half, or their product."""
    if name == source:
        return {"x"}
    if graph.is_number(name, 0.5):
        return {"half"}
    maker = graph.makers.get(name)
    if maker is not None and maker.op_type == "Mul" and source in maker.input:
        return {"x"} | _factors(graph, graph.other(maker, source), source)
    return {"something else"}
