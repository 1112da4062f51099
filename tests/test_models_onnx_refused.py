"""ONNX files that must not be run: damaged, of unknown operators, of other inputs than an image."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from streamdyn import ModelError, load_model
from tests.models_onnx_kit import CARD, mean_of_channels, save


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the model .*No such file"),
        (b"", "is no ONNX file, or a damaged one: it holds no network"),
        (b"this is text, called .onnx", "is no ONNX file, or a damaged one"),
        (b"\x08\x07", "it holds no network"),
    ],
)
def test_a_file_that_is_no_network_is_refused(tmp_path, content, message):
    path = tmp_path / "net.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_model(str(path), card=CARD)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(models_dir, tmp_path, share):
    whole = (models_dir / "fastestdet.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match=r"cut\.onnx"):
        load_model(str(path), card=CARD)


def test_names_that_are_no_text_are_refused(tmp_path):
    path = mean_of_channels(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes().replace(b"Flatten", b"Fl\xff\xfeten"))
    with pytest.raises(ModelError, match="damaged ONNX file: names in it are no text"):
        load_model(str(path), card=CARD)


def test_what_the_runtime_refuses_is_told_once(tmp_path, capfd):
    path = save(tmp_path / "net.onnx", [helper.make_node("Relu", ["nowhere"], ["y"])])
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot run .*nowhere"):
        load_model(str(path), card=CARD)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("node", "operator"),
    [
        (helper.make_node("Frobnicate", ["x"], ["y"]), "Frobnicate"),
        (helper.make_node("Relu", ["x"], ["y"], domain="acme.ops"), "acme.ops::Relu"),
    ],
)
def test_an_unknown_operator_is_named(tmp_path, node, operator):
    path = save(tmp_path / "net.onnx", [node])
    with pytest.raises(ModelError, match=f"unknown operator {operator};"):
        load_model(str(path), card=CARD)


def test_an_unknown_operator_is_found_in_a_subgraph(tmp_path):
    branch = helper.make_graph(
        [helper.make_node("Frobnicate", ["x"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    flag = numpy_helper.from_array(np.array(True), "c")
    path = save(tmp_path / "net.onnx", [node], weights=(flag,))
    with pytest.raises(ModelError, match="unknown operator Frobnicate;"):
        load_model(str(path), card=CARD)


@pytest.mark.parametrize(
    "inputs",
    [
        {"x": [1, 3, 8, 8], "mask": [1, 8, 8]},
        {"x": [1, 1, 8, 8]},
        {"x": [4, 3, 8, 8]},
        {"x": [1, 8, 8, 3]},
        {"x": [1, 3]},
        {},
    ],
)
def test_inputs_that_are_not_one_image_are_shown(tmp_path, inputs):
    name = next(iter(inputs), "c")
    constant = numpy_helper.from_array(np.zeros((1, 3, 8, 8), np.float32), "c")
    nodes = [helper.make_node("Identity", [name], ["y"])]
    path = save(tmp_path / "net.onnx", nodes, inputs=inputs or None, weights=(constant,))
    if not inputs:
        model = onnx.load(path)
        del model.graph.input[:]
        onnx.save(model, path)
    given = ", ".join(
        f"'{name}' float32 ({', '.join(map(str, shape))})" for name, shape in inputs.items()
    )
    with pytest.raises(ModelError) as refused:
        load_model(str(path), card=CARD)
    assert f"must have one input, float32 (1, 3, height, width), and has {given or 'none'};" in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [(TensorProto.FLOAT16, "float16"), (TensorProto.UINT8, "uint8"), (99, "unknown")],
)
def test_input_of_another_type_is_refused(tmp_path, kind, name):
    path = mean_of_channels(tmp_path / "net.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = kind
    onnx.save(model, path)
    with pytest.raises(ModelError, match=rf"has 'x' {name} \(1, 3, height, width\)"):
        load_model(str(path), card=CARD)
