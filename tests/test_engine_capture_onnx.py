"""Capture of ONNX files: every operation gives what ONNX Runtime gives."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.capture_onnx_kit import (
    SIZE,
    build,
    compare,
    floats,
    ints,
    kinds,
    save,
    whats,
)


def test_activations_run_on_blocks(tmp_path):
    names = ("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "LeakyRelu", "Elu", "Selu", "Celu",
             "HardSigmoid", "Abs", "Neg", "Mish", "LogSoftmax")  # fmt: skip
    cases = [(name, ["x"], {}) for name in names[:-1]]
    cases += [
        ("HardSigmoid", ["x"], {"alpha": 1 / 6}),
        ("Clip", ["x", np.float32(-0.5), np.float32(0.5)], {}),
        ("Clip", ["x", "", np.float32(0.5)], {}),
        ("PRelu", ["x", floats(3, 1, 1)], {}),
    ]
    cases = [(name, [np.asarray(v) if not isinstance(v, str) else v for v in inputs], how)
             for name, inputs, how in cases]  # fmt: skip
    graph = compare(build(tmp_path / "net.onnx", cases, opset=18))
    assert whats(graph) == []


def test_arithmetic_runs_on_blocks(tmp_path):
    cases = [
        ("Add", ["x", floats(3, 1, 1)], {}),
        ("Sub", [np.array(1, np.float32), "x"], {}),
        ("Mul", ["x", floats(1)], {}),
        ("Div", ["x", floats(1, 3, 1, 1)], {}),
        ("Pow", ["x", np.array(2, np.float32)], {}),
        ("Max", ["x", "y0", "y1"], {}),
        ("Min", ["x", "y2"], {}),
        ("Sum", ["x", "y0", "y2"], {}),
        ("Identity", ["x"], {}),
        ("Cast", ["x"], {"to": TensorProto.FLOAT}),
    ]
    assert whats(compare(build(tmp_path / "net.onnx", cases))) == []


def test_layers_run_on_blocks(tmp_path):
    statistics = [floats(3) for _ in range(4)]
    cases = [
        ("Conv", ["x", floats(4, 3, 3, 3), floats(4)], {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
        ("Conv", ["x", floats(4, 3, 3, 3)], {"pads": [0, 1, 2, 0], "dilations": [2, 1]}),
        ("Conv", ["x", floats(6, 1, 3, 3)], {"group": 3}),
        ("Conv", ["x", floats(4, 3, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ("Conv", ["x", floats(4, 3, 4, 4)], {"auto_pad": "SAME_LOWER"}),
        ("Conv", ["x", floats(4, 3, 3, 3)], {"auto_pad": "VALID"}),
        ("ConvTranspose", ["x", floats(3, 4, 3, 3)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("ConvTranspose", ["x", floats(3, 4, 3, 3)],
         {"strides": [2, 2], "pads": [0, 0, 1, 1], "output_padding": [1, 1]}),
        ("MaxPool", ["x"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("MaxPool", ["x"], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}),
        ("MaxPool", ["x"], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ("AveragePool", ["x"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("AveragePool", ["x"], {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
        ("AveragePool", ["x"], {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}),
        ("GlobalAveragePool", ["x"], {}),
        ("ReduceMean", ["x"], {"axes": [2, 3], "keepdims": 0}),
        ("BatchNormalization", ["x", *statistics], {}),
        ("Softmax", ["x"], {"axis": 1}),
        ("Pad", ["x", ints(0, 0, 1, 2, 0, 0, 0, 3)], {}),
        ("DepthToSpace", ["d"], {"blocksize": 2}),
        ("DepthToSpace", ["d"], {"blocksize": 2, "mode": "CRD"}),
        ("SpaceToDepth", ["x"], {"blocksize": 2}),
    ]  # fmt: skip
    nodes = [helper.make_node("Conv", ["x", "deep"], ["d"])]
    built = onnx.load(build(tmp_path / "net.onnx", cases))
    built.graph.node.insert(0, nodes[0])
    built.graph.initializer.append(numpy_helper.from_array(floats(12, 3, 1, 1), "deep"))
    (tmp_path / "net.onnx").write_bytes(built.SerializeToString())
    assert whats(compare(tmp_path / "net.onnx")) == []


def test_resizing_runs_on_blocks(tmp_path):
    scales, half = np.array([1, 1, 2, 2], np.float32), np.array([1, 1, 0.5, 0.5], np.float32)
    floor = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    corners = {"coordinate_transformation_mode": "align_corners", "mode": "linear"}
    cases = [
        ("Resize", ["x", "", scales], floor),
        ("Resize", ["x", "", half], floor),
        ("Resize", ["x", "", scales], {}),
        ("Resize", ["x", "", "", ints(1, 3, 9, 31)], {"mode": "linear"}),
        ("Resize", ["x", "", "", ints(1, 3, 9, 31)], corners),
        ("Resize", ["x", "", scales],
         {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}),
    ]  # fmt: skip
    graph = compare(build(tmp_path / "net.onnx", cases))
    assert kinds(graph) == {"Resize": 6}


def test_moves_cost_nothing_but_choices_of_channels(tmp_path):
    cases = [
        ("Transpose", ["x"], {"perm": [0, 2, 3, 1]}),
        ("Reshape", ["x", ints(0, 3, -1)], {}),
        ("Flatten", ["x"], {"axis": 2}),
        ("Unsqueeze", ["x", ints(1, -1)], {}),
        ("Squeeze", ["y3", ints(1)], {}),
        ("Split", ["x", ints(1, 2)], {"axis": 1, "outputs": 2}),
        ("Slice", ["x", ints(1), ints(3), ints(1)], {}),
        ("Slice", ["x", ints(-1), ints(-9), ints(1), ints(-1)], {}),
        ("Slice", ["x", ints(1, 0), ints(-1, 99), ints(2, 3), ints(1, 2)], {}),
        ("Gather", ["x", ints(2, 0, -1)], {"axis": 1}),
        ("Gather", ["x", np.array(1)], {"axis": 1}),
        ("Concat", ["x", "y9"], {"axis": 1}),
        ("Tile", ["x", ints(1, 2, 1, 1)], {}),
        ("Dropout", ["x"], {}),
        ("Expand", ["x", ints(1, 1, 1, 1)], {}),
    ]
    graph = compare(build(tmp_path / "net.onnx", cases))
    assert set(kinds(graph)) == {"Channels", "Concat", "Pad", "Pool"}


def test_norms(tmp_path):
    cases = [
        ("InstanceNormalization", ["x", floats(3), floats(3)], {}),
        ("Transpose", ["x"], {"perm": [0, 2, 3, 1]}),
        ("LayerNormalization", ["y1", floats(3), floats(3)], {"epsilon": 1e-3}),
    ]
    graph = compare(build(tmp_path / "net.onnx", cases))
    assert kinds(graph) == {"Dense": 1, "Binary": 2, "LayerNorm": 1}


def test_heads_of_classifiers_run_on_blocks(tmp_path):
    cases = [
        ("GlobalAveragePool", ["x"], {}),
        ("Flatten", ["y0"], {}),
        ("Gemm", ["y1", floats(5, 3), floats(5)], {"transB": 1}),
        ("Gemm", ["y1", floats(3, 5)], {"alpha": 0.5}),
        ("Transpose", ["x"], {"perm": [0, 2, 3, 1]}),
        ("MatMul", ["y4", floats(3, 5)], {}),
        ("Softmax", ["y2"], {}),
    ]
    graph = compare(build(tmp_path / "net.onnx", cases))
    assert kinds(graph) == {"GlobalPool": 1, "Conv": 3, "Softmax": 1}


def test_whatever_cannot_run_on_blocks_runs_dense(tmp_path):
    cases = [
        ("Exp", ["x"], {}),
        ("Erf", ["x"], {}),
        ("Floor", ["x"], {}),
        ("Greater", ["x", np.array(0, np.float32)], {}),
        ("Where", ["y3", "x", floats(1)], {}),
        ("ArgMax", ["x"], {"axis": 1}),
        ("TopK", ["x", ints(2)], {"axis": 1, "outputs": 2}),
        ("ReduceMax", ["x"], {"axes": [1]}),
        ("ReduceSum", ["x", ints(2)], {"keepdims": 0}),
        ("ReduceL2", ["x"], {"axes": [1]}),
        ("GlobalMaxPool", ["x"], {}),
        ("Cast", ["y3"], {"to": TensorProto.FLOAT}),
        ("Pad", ["x", ints(0, 0, 1, 1, 0, 0, 1, 1)], {"mode": "reflect"}),
        ("Expand", ["x", ints(2, 1, 1, 1)], {}),
        ("Einsum", ["x", floats(3, 4)], {"equation": "nchw,cd->ndhw"}),
        ("Gather", [floats(9, 4), "y5"], {"axis": 0}),
        ("Softmax", ["x"], {"axis": -1}),
    ]
    (what,) = whats(compare(build(tmp_path / "net.onnx", cases)))
    assert what.startswith("exp, erf, floor")


def test_old_files_say_as_attributes_what_new_ones_say_as_inputs(tmp_path):
    cases = [
        ("Clip", ["x"], {"min": -0.5, "max": 0.5}),
        ("Pad", ["x"], {"pads": [0, 0, 1, 1, 0, 0, 2, 2], "value": 0.5}),
        ("Slice", ["x"], {"starts": [1], "ends": [3], "axes": [1]}),
        ("Unsqueeze", ["x"], {"axes": [2]}),
        ("Squeeze", ["y3"], {"axes": [2]}),
        ("Split", ["x"], {"axis": 1, "split": [1, 2], "outputs": 2}),
        ("Upsample", ["x", np.array([1, 1, 2, 2], np.float32)], {"mode": "nearest"}),
        ("Softmax", ["x"], {"axis": 2}),
        ("TopK", ["x"], {"axis": 1, "k": 2, "outputs": 2}),
        ("ReduceMean", ["x"], {"axes": [2, 3]}),
    ]
    compare(build(tmp_path / "net.onnx", cases, opset=9))


def test_shapes_may_be_computed(tmp_path):
    """As exporters write `x.view(n, c, h * w)` and `interpolate(size=y.shape[2:])`."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "two"], ["height"]),
        helper.make_node("Unsqueeze", ["height", "zero"], ["heights"]),
        helper.make_node("Concat", ["ones", "heights", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["same"]),
        helper.make_node("MaxPool", ["same"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["small", "", "", "shape"], ["y"], mode="linear"),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["y", "zeros"], ["z"]),
    ]
    weights = {"two": np.array(2), "zero": ints(0), "ones": ints(1, 3), "rest": ints(-1)}
    free = (1, 3, "height", "width")
    path = save(tmp_path / "net.onnx", nodes, weights, ["z"], shape=free)
    for size in (SIZE, (20, 28)):
        assert set(kinds(compare(path, size))) == {"Pool", "Resize"}


HALF, ONE, ROOT = (np.array(n, np.float32) for n in (0.5, 1.0, 2**0.5))


SPELLED_OUT = {
    "half last": ["Div x r", "Erf y0", "Add y1 o", "Mul x y2", "Mul y3 h"],
    "half first": ["Mul x h", "Div x r", "Erf y1", "Add o y2", "Mul y0 y3"],
    "half between": ["Mul q x", "Erf y0", "Add y1 o", "Mul h y2", "Mul x y3"],
}


@pytest.mark.parametrize("steps", SPELLED_OUT.values(), ids=SPELLED_OUT)
def test_gelu_is_seen_for_what_it_is(tmp_path, steps):
    nodes = [
        helper.make_node(kind, names, [f"y{number}"])
        for number, (kind, *names) in enumerate(map(str.split, steps))
    ]
    constant = helper.make_node("Constant", [], ["h"], value=numpy_helper.from_array(HALF))
    weights = {"o": ONE, "r": ROOT, "q": 1 / ROOT}
    path = save(tmp_path / "net.onnx", [constant, *nodes], weights, ["y4"])
    (node,) = compare(path).nodes
    assert node.op.kind == "gelu"


@pytest.mark.parametrize("third", [HALF, ONE])
def test_what_only_looks_like_gelu_is_computed_as_it_is(tmp_path, third):
    nodes = [
        helper.make_node("Div", ["x", "r"], ["a"]),
        helper.make_node("Erf", ["a"], ["b"]),
        helper.make_node("Add", ["b", "o"], ["c"]),
        helper.make_node("Mul", ["x", "c"], ["d"]),
        helper.make_node("Mul", ["d", "h"], ["e"]),
        helper.make_node("Add", ["e", "c" if third is HALF else "e"], ["y"]),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"r": ROOT, "o": ONE, "h": third}, ["y"])
    assert "erf" in whats(compare(path))[0]
