"""Capture of ONNX files: they become modules of torch, which are captured as all others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from streamdyn.engine.capture.module import capture
from streamdyn.engine.capture.onnx_arithmetic import ARITHMETIC
from streamdyn.engine.capture.onnx_idioms import with_gelu
from streamdyn.engine.capture.onnx_layers import LAYERS
from streamdyn.engine.capture.onnx_operation import Operation, Value
from streamdyn.engine.capture.onnx_shapes import MOVES
from streamdyn.engine.capture.rescale import rescale
from streamdyn.engine.graph import Graph
from streamdyn.errors import ModelError

OPERATORS = {**MOVES, **ARITHMETIC, **LAYERS}
"""What each ONNX operator does, in functions of torch that capture knows."""


def capture_onnx(path: Path, size: tuple[int, int]) -> Graph:
    """The graph of an ONNX file of one image input (1, 3, *size).

    A file that is made for one size is captured there, and its graph carried to `size`. What
    the graph gives back is a dict of the file's outputs. Whether the file may be trusted to name
    other files is the caller's to check.

    Raises:
        ModelError: the file is broken, has operators that are unknown, or cannot take the size.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # of protobuf, of onnx and of the system, which share no base
        raise ModelError(f"{path} cannot be read as an ONNX file: {error}") from None
    module = OnnxModule(model)
    fixed = (module.size[0] or size[0], module.size[1] or size[1])
    graph = capture(module, fixed)
    return graph if fixed == size else rescale(graph, size)


class OnnxModule(nn.Module):
    """The network of an ONNX model: one layer for each node that depends on the image."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        graph = model.graph
        self.constants = {tensor.name: _array(tensor) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self.constants]
        shapes = [value.type.tensor_type.shape.dim for value in inputs]
        if [len(shape) for shape in shapes] != [4]:
            raise ModelError(
                f"an ONNX file must have one input, an image (1, 3, height, width); this has "
                f"{len(inputs)}, of {[len(shape) for shape in shapes]} axes"
            )
        self.image = inputs[0].name
        self.size = tuple(axis.dim_value or None for axis in shapes[0][2:])  # None: any
        self.outputs = [output.name for output in graph.output]
        opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        nodes = with_gelu(graph.node, self.constants)
        self.steps = [Step(node, opset) for node in nodes]
        for number, step in enumerate(self.steps):
            name = step.operation.name
            self.add_module(f"{name}_{number}" if hasattr(self, name) else name, step)

    def forward(self, x: Tensor) -> dict[str, Value]:
        values: dict[str, Value] = {"": None, **self.constants, self.image: x}
        for step in self.steps:
            inputs = [values[name] for name in step.inputs]
            if any(isinstance(value, Tensor) for value in inputs):
                results = step(*inputs)
            else:
                results = step.evaluate(inputs)
            values.update(zip(step.outputs, results, strict=False))
        return {name: values[name] for name in self.outputs}


class Step(nn.Module):
    """One node."""

    def __init__(self, node: onnx.NodeProto, opset: int) -> None:
        super().__init__()
        self.node = node
        self.inputs, self.outputs = list(node.input), list(node.output)
        attributes = {a.name: _plain(onnx.helper.get_attribute_value(a)) for a in node.attribute}
        name = (node.name or node.output[0]).strip("/").replace(".", "_")
        self.operation = Operation(node.op_type, name, attributes, opset, len(node.output))

    def forward(self, *inputs: Value) -> Iterable[Value]:
        operation = self.operation
        run = OPERATORS.get(operation.kind)
        if run is None or self.node.domain not in ("", "ai.onnx"):
            raise ModelError(
                f"the network cannot be captured: node {operation.name} is of the operator "
                f"{operation.kind}, which streamdyn does not know"
            )
        result = run(operation, *inputs)
        return result if isinstance(result, (list, tuple)) else [result]

    def evaluate(self, inputs: list[Value]) -> list[Value]:
        """The results for inputs that do not depend on the image, by the definition of ONNX."""
        given = {name: value for name, value in zip(self.inputs, inputs, strict=True) if name}
        evaluator = ReferenceEvaluator(self.node, opsets={"": self.operation.opset})
        return [_single(np.asarray(result)) for result in evaluator.run(None, given)]


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    return _single(onnx.numpy_helper.to_array(tensor))


def _single(array: NDArray[Any]) -> NDArray[Any]:
    """Half and double precision as the single precision that graphs hold."""
    floating = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    return array.astype(np.float32) if floating else array


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
