"""ONNX files of all kinds: weights of other types and places, names, and what is refused."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from streamdyn import ModelError
from streamdyn.engine.capture.onnx import capture_onnx
from tests.capture_onnx_kit import SIZE, build, compare, floats, save


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
