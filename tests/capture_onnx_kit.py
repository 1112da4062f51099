"""ONNX files made for tests, and how what is captured is held to ONNX Runtime."""

from collections import Counter

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from streamdyn.engine import reference
from streamdyn.engine.capture.onnx import capture_onnx
from streamdyn.engine.graph import Dense
from streamdyn.engine.simplify import simplify

RANDOM = np.random.default_rng(0)

SIZE = (12, 16)


def floats(*shape):
    return RANDOM.uniform(0.5, 1.5, shape).astype(np.float32)


def ints(*numbers):
    return np.array(numbers, np.int64)


def save(path, nodes, weights, outputs, *, opset=17, shape=(1, 3, *SIZE)):
    """A file of nodes that read "x"; weights are arrays by name."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    for output in graph.output:
        output.type.Clear()  # of any kind and shape
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def build(path, cases, *, opset=17, shape=(1, 3, *SIZE)):
    """A file with one output for each case: (operator, inputs, attributes)."""
    nodes, weights, outputs = [], {}, []
    for number, (operator, inputs, attributes) in enumerate(cases):
        names = []
        for place, value in enumerate(inputs):
            if isinstance(value, np.ndarray):
                weights[f"w{number}_{place}"] = value
                value = f"w{number}_{place}"
            names.append(value)
        count = attributes.pop("outputs", 1)
        made = [f"y{number}"] + [f"y{number}_{place}" for place in range(1, count)]
        nodes.append(helper.make_node(operator, names, made, f"{operator}_{number}", **attributes))
        outputs += made
    return save(path, nodes, weights, outputs, opset=opset, shape=shape)


def runtime(path, x):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(
        None, {"x": x}
    )


def compare(path, size=SIZE):
    """Hold what was captured to ONNX Runtime, and return the graph."""
    graph = simplify(capture_onnx(path, size))
    x = RANDOM.normal(size=(1, 3, *size)).astype(np.float32)
    found = graph.rebuild(reference.run(graph, torch.from_numpy(x)))
    for (name, one), other in zip(found.items(), runtime(path, x), strict=True):
        np.testing.assert_allclose(np.asarray(one), other, 1e-4, 1e-4, err_msg=name)
    return graph


def kinds(graph):
    return Counter(type(node.op).__name__ for node in graph.nodes)


def whats(graph):
    return [node.op.what for node in graph.nodes if isinstance(node.op, Dense)]
