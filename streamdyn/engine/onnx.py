"""Dense ONNX files, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]  # it ships no types
from numpy.typing import NDArray

from streamdyn.engine.dense import Dense
from streamdyn.errors import ModelError

_WEIGHTS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.INT8,  # of quantised files
    onnx.TensorProto.UINT8,
}


class DenseOnnx(Dense):
    """An ONNX file of one image input and any outputs.

    Args:
        path: the file. Whether it may be trusted to name other files is the caller's to check.
        outputs: the names of the outputs to compute, in order; None: all of them.
        threads: of the computation; None: one per core.

    Raises:
        ModelError: ONNX Runtime cannot run the file, or it has no such output.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        *,
        outputs: tuple[str, ...] | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(size)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 4  # errors are raised; they need not go to stderr as well
        self._path = path
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except Exception as error:  # its errors share no base
            raise ModelError(f"ONNX Runtime cannot run {path}: {error}") from None
        self._input = self._session.get_inputs()[0].name
        found = [output.name for output in self._session.get_outputs()]
        self._names = outputs or tuple(found)
        if missing := [name for name in self._names if name not in found]:
            raise ModelError(f"{path} has no output {missing[0]!r}; it has {', '.join(found)}")

    def _run(self, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        values = self._session.run(self._names, {self._input: x})
        return {
            name: np.asarray(value, np.float32)
            for name, value in zip(self._names, values, strict=True)
        }

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions and matrix products.

        Products whose shapes cannot be inferred from the file do not count.
        """
        return count_macs(onnx.load(self._path, load_external_data=False), self.size)

    @cached_property
    def parameters(self) -> int:
        """Weights and biases, counted."""
        return count_parameters(onnx.load(self._path, load_external_data=False))


def count_parameters(model: onnx.ModelProto) -> int:
    """Weights and biases of a model, counted."""
    tensors = _tensors(model.graph)
    return sum(prod(tensor.dims) for tensor in tensors if tensor.data_type in _WEIGHTS)


def count_macs(model: onnx.ModelProto, size: tuple[int, int]) -> int:
    """Multiply-accumulates of a model whose image input is (1, 3, *size)."""
    initialized = {tensor.name for tensor in model.graph.initializer}
    image = next(value for value in model.graph.input if value.name not in initialized)
    for axis, pixels in zip(image.type.tensor_type.shape.dim, (1, 3, *size), strict=True):
        axis.dim_value = pixels
    # Stale shapes of another input size would win over inferred ones.
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = dict(_shapes([*graph.input, *graph.value_info, *graph.output]))
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in _tensors(graph)}
    return sum(_node_macs(node, shapes) for node in graph.node)


def _node_macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type not in {"Conv", "ConvTranspose", "Gemm", "MatMul"}:
        return 0
    names = [*node.input[:2], node.output[0]]
    if not all(name in shapes for name in names):
        return 0
    left, right, out = (shapes[name] for name in names)
    match node.op_type:
        case "Conv":
            return prod(out) * prod(right[1:])
        case "ConvTranspose":
            return prod(left) * prod(right[1:])
        case "Gemm":
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            return prod(out) * left[0 if transposed else 1]
        case _:
            return prod(out) * left[-1]


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    attribute.t.name = node.output[0]
                    yield attribute.t


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for value in values:
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(axis.HasField("dim_value") for axis in kind.shape.dim):
            yield value.name, tuple(axis.dim_value for axis in kind.shape.dim)
