"""ONNX files that were exported for one size, at others."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from streamdyn import ModelError
from streamdyn.engine import reference
from streamdyn.engine.capture.onnx import capture_onnx
from streamdyn.engine.graph import Channels
from streamdyn.engine.simplify import simplify
from tests.capture_onnx_kit import RANDOM, SIZE, build, compare, floats, ints, runtime, whats


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
