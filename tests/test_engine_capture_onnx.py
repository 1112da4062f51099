"""Capture of ONNX files: they give what ONNX Runtime gives, at their own size and at others."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from streamdyn import ModelError
from streamdyn.engine import reference
from streamdyn.engine.capture.onnx import capture_onnx
from streamdyn.engine.graph import Channels, Dense
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


def test_half_precision_becomes_single(tmp_path):
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["half", "w"], ["conv"]),
        helper.make_node("Cast", ["conv"], ["y"], to=TensorProto.FLOAT),
    ]
    weight = floats(4, 3, 3, 3)
    path = save(tmp_path / "net.onnx", nodes, {"w": weight.astype(np.float16)}, ["y"])
    graph = capture_onnx(path, SIZE)
    assert [type(node.op).__name__ for node in graph.nodes] == ["Conv"]
    assert graph.nodes[0].op.weight.dtype == np.float32


def test_weights_may_lie_in_a_file_beside(tmp_path):
    path = build(tmp_path / "net.onnx", [("Conv", ["x", floats(4, 3, 3, 3)], {})])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w", size_threshold=0)
    assert (tmp_path / "w").is_file()
    compare(path)


def test_names_are_those_of_the_nodes(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "/backbone/stem.0/Conv"),
        helper.make_node("Relu", ["a"], ["b"], "training"),  # a name that torch modules have
        helper.make_node("Sigmoid", ["b"], ["c"]),
    ]
    path = save(tmp_path / "net.onnx", nodes, {"w": floats(4, 3, 1, 1)}, ["c", "a"])
    graph = capture_onnx(path, SIZE)
    assert [node.name for node in graph.nodes] == ["backbone/stem_0/Conv", "training_1", "c"]
    assert graph.output_names == ("c", "a")


def detector(models_dir):
    return models_dir / "fastestdet.onnx"


def test_real_detector_at_its_own_size(models_dir):
    graph = simplify(capture_onnx(detector(models_dir), (352, 352)))
    assert whats(graph) == []
    x = RANDOM.uniform(0, 1, (1, 3, 352, 352)).astype(np.float32)
    (found,) = reference.run(graph, torch.from_numpy(x))
    session = onnxruntime.InferenceSession(detector(models_dir))
    np.testing.assert_allclose(found, session.run(None, {"input.1": x})[0], 1e-4, 1e-4)


def test_real_detector_at_twice_its_size(models_dir, tmp_path):
    """Its twin is the file with every shape it reshapes to written anew."""
    model = onnx.load(detector(models_dir))
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    twins = 0
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            array = numpy_helper.to_array(tensor).copy()
            if array.size == 3:  # (channels / 2, 2, pixels)
                array[2] *= 4
            else:  # (2, -1, channels, height, width)
                array[3:] *= 2
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            twins += 1
    assert twins == len(shapes) > 20
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 704
    model.graph.output[0].type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    twin = tmp_path / "twin.onnx"
    onnx.save(model, twin)

    graph = simplify(capture_onnx(detector(models_dir), (704, 704)))
    x = RANDOM.uniform(0, 1, (1, 3, 704, 704)).astype(np.float32)
    (found,) = reference.run(graph, torch.from_numpy(x))
    expected = onnxruntime.InferenceSession(twin).run(None, {"input.1": x})[0]
    assert found.shape == (1, 85, 44, 44)
    np.testing.assert_allclose(found, expected, 1e-4, 1e-4)
    shuffles = [node.op.indices for node in graph.nodes if isinstance(node.op, Channels)]
    assert shuffles[0].tolist() == [*range(0, 48, 2)]
    assert shuffles[1].tolist() == [*range(1, 48, 2)]


def fixed(tmp_path, cases):
    """A file for 12x16 pixels only, and its twin for any size."""
    path = build(tmp_path / "net.onnx", cases)
    free = build(tmp_path / "free.onnx", cases, shape=(1, 3, "height", "width"))
    return path, free


def test_files_for_one_size_run_at_others(tmp_path):
    cases = [
        ("Conv", ["x", floats(4, 3, 3, 3)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("MaxPool", ["y0"], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ("ConvTranspose", ["y1", floats(4, 4, 2, 2)], {"strides": [2, 2]}),
        ("Resize", ["y2", "", np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"}),
        ("GlobalAveragePool", ["y3"], {}),
        ("Mul", ["y3", "y4"], {}),
        ("Pad", ["y5", ints(0, 0, 1, 1, 0, 0, 1, 1)], {}),
        ("Concat", ["y3", "y5"], {"axis": 1}),
        ("InstanceNormalization", ["y7", floats(8), floats(8)], {}),
    ]
    path, free = fixed(tmp_path, cases)
    for size in ((12, 16), (13, 21), (32, 20)):
        x = RANDOM.normal(size=(1, 3, *size)).astype(np.float32)
        found = reference.run(simplify(capture_onnx(path, size)), torch.from_numpy(x))
        for one, other in zip(found, runtime(free, x), strict=True):
            np.testing.assert_allclose(one, other, 1e-4, 1e-4)


def test_outputs_as_tokens_follow_the_size(tmp_path):
    cases = [
        ("Reshape", ["x", ints(1, 3, 192)], {}),
        ("Transpose", ["y0"], {"perm": [0, 2, 1]}),
    ]
    path = build(tmp_path / "net.onnx", cases)
    graph = capture_onnx(path, (4, 5))
    x = torch.arange(60.0).view(1, 3, 4, 5)
    _, tokens = reference.run(graph, x)
    assert torch.equal(tokens, x.flatten(2).transpose(1, 2))


REFUSED = {
    "flat pixels": (
        [("Flatten", ["x"], {}), ("Gemm", ["y0", floats(576, 4)], {})],
        r"made for an input of 12x16 px and cannot take 24x32: layer Gemm_1 works at that size",
    ),
    "a map of weights": (
        [("Add", ["x", floats(1, 1, *SIZE)], {})],
        r"cannot take 24x32: layer Add_0 works at that size only; .* dynamic axes",
    ),
    "rows in parts": (
        [("Reshape", ["x", ints(1, 3, 3, 4, 16)], {})],
        r"cannot take 24x32: its output 'y0' can be given at that size only",
    ),
}


@pytest.mark.parametrize(("cases", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_bound_to_its_size_is_refused_at_others(tmp_path, cases, message):
    path = build(tmp_path / "net.onnx", cases)
    compare(path)
    with pytest.raises(ModelError, match=message):
        capture_onnx(path, (24, 32))


def test_upsampling_that_does_not_come_out_even_is_refused(tmp_path):
    path = build(
        tmp_path / "net.onnx", [("Resize", ["x", "", "", ints(1, 3, 8, 8)], {"mode": "linear"})]
    )
    capture_onnx(path, (24, 32))
    with pytest.raises(ModelError, match="layer Resize_0 works at that size only"):
        capture_onnx(path, (13, 16))


UNKNOWN = {
    "operator": ([("NonZero", ["x"], {})], r"node NonZero_0 is of the operator NonZero, which"),
    "mode": (
        [("Resize", ["x", "", np.array([1, 1, 2, 2], np.float32)],
          {"mode": "linear", "coordinate_transformation_mode": "asymmetric"})],
        r"node Resize_0 \(Resize\) has linear interpolation at asymmetric coordinates, which",
    ),
    "indices": (
        [("MaxPool", ["x"], {"kernel_shape": [2, 2], "outputs": 2})],
        r"node MaxPool_0 \(MaxPool\) has a second output, which",
    ),
    "shape": (
        [("ArgMax", ["x"], {"axis": 1, "keepdims": 0}), ("Reshape", ["x", "y0"], {})],
        r"node Reshape_1 \(Reshape\) has shapes or indices that depend on the image, which",
    ),
    "mistake": (
        [("Conv", ["x", floats(4, 5, 3, 3)], {})],
        r"layer Conv_0 fails on an input of 12x16 px: .*5",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("cases", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_refusals_name_the_node_and_the_reason(tmp_path, cases, message, capfd):
    path = build(tmp_path / "net.onnx", cases)
    with pytest.raises(ModelError, match=message):
        capture_onnx(path, SIZE)
    assert capfd.readouterr() == ("", "")


def test_broken_files_are_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"net\.onnx cannot be read as an ONNX file"):
        capture_onnx(path, SIZE)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match=r"must have one input, an image .*; this has 0"):
        capture_onnx(path, SIZE)
    with pytest.raises(ModelError, match=r"none\.onnx cannot be read"):
        capture_onnx(tmp_path / "none.onnx", SIZE)
