"""ONNX files: what runs gives what ONNX Runtime gives, and what must not be run is not."""

from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamdyn import Detections, Frame, ModelError, load_model
from streamdyn.models.template import missing_card

CARD = Path(__file__).parents[1] / "data" / "cards" / "fastestdet.toml"

CLASSIFIER = """
name = "mean"
task = "recognition"

[input]
size = {size}

[output]
postprocess = "topk"
labels = ["red", "green", "blue"]
options = {{activation = "none"}}
"""


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    inputs: dict[str, list[int | str]] | None = None,
    weights: tuple[onnx.TensorProto, ...] = (),
    output: list[int] | None = None,
    **more: object,
) -> Path:
    """An ONNX file of these nodes, from "x" to "y"."""
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (inputs or {"x": [1, 3, "height", "width"]}).items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        list(weights),
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, **more
    )
    path.write_bytes(model.SerializeToString())
    return path


def mean_of_channels(path: Path, **options: object) -> Path:
    """A classifier whose scores are the mean red, green and blue."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    return save(path, nodes, **options)


def external(location: str, key: str = "location") -> onnx.TensorProto:
    """A weight whose data lies in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key=key, value=location)
    return tensor


def frame(image: NDArray[np.uint8]) -> Frame:
    return Frame.from_image(image, index=0, pts_seconds=0.0)


def decoded(path: Path, index: int) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            if number == index:
                return picture.to_ndarray(format="rgb24")
    raise AssertionError(f"{path} has no frame {index}")


def plain_fastestdet(
    output: NDArray[np.float32], height: int, width: int, least: float
) -> list[tuple[float, int, tuple[float, float, float, float]]]:
    """Every box of FastestDet before suppression: score, class, corners. One loop over cells."""
    found = []
    _, _, rows, cols = output.shape
    for gy in range(rows):
        for gx in range(cols):
            cell = [float(value) for value in output[0, :, gy, gx]]
            best = max(cell[5:])
            score = cell[0] ** 0.6 * best**0.4
            if score < least:
                continue
            cx, cy = (np.tanh(cell[1]) + gx) / cols, (np.tanh(cell[2]) + gy) / rows
            w, h = 1 / (1 + np.exp(-cell[3])), 1 / (1 + np.exp(-cell[4]))
            sides = ((cx - w / 2) * width, (cy - h / 2) * height)
            ends = ((cx + w / 2) * width, (cy + h / 2) * height)
            corners = [
                min(max(value, 0), limit)
                for value, limit in zip((*sides, *ends), (width, height) * 2, strict=True)
            ]
            found.append((score, cell[5:].index(best), tuple(corners)))
    return sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("clip", "name", "least"),
    [("bottle-detection.mp4", "bottle", 0.8), ("asl-book.mkv", "person", 0.9)],
)
def test_real_detector_finds_what_is_there(models_dir, media, clip, name, least):
    path = models_dir / "fastestdet.onnx"
    model = load_model(str(path), card=CARD)
    image = decoded(media / clip, 40)
    height, width, _ = image.shape
    result = model(
        frame(image), model.grid((height, width)).all(), model.new_cache((height, width))
    )
    assert isinstance(result, Detections)
    assert result.names[0] == name
    assert result.scores[0] > least

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = cv2.resize(image, (352, 352))[..., ::-1].transpose(2, 0, 1)[None] / np.float32(255)
    (output,) = session.run(None, {"input.1": np.ascontiguousarray(pixels, np.float32)})
    plain = plain_fastestdet(output, height, width, 0.4)
    twins = []
    for score, label, box in zip(result.scores, result.labels, result.boxes, strict=True):
        twin = next(t for t in plain if t[1] == label and abs(t[0] - score) < 1e-4)
        np.testing.assert_allclose(box, twin[2], atol=1e-3)  # pixels
        twins.append(twin)
    # What was suppressed overlaps one of its class that stayed, and what stayed does not.
    for candidate in plain:
        rivals = [twin for twin in twins if twin[1] == candidate[1] and twin[0] > candidate[0]]
        crowded = any(overlap(candidate[2], rival[2]) > 0.45 for rival in rivals)
        assert crowded != (candidate in twins)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width, height = (max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)


def test_the_card_lies_beside_the_file(tmp_path):
    path = mean_of_channels(tmp_path / "mean.onnx")
    (tmp_path / "mean.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
    model = load_model(str(path))
    image = np.full((16, 12, 3), (0, 51, 255), np.uint8)
    result = model(frame(image), model.grid((16, 12)).all(), model.new_cache((16, 12)))
    assert result.names == ("blue", "green", "red")
    np.testing.assert_allclose(result.scores, [1.0, 0.2, 0.0], atol=1e-6)


def test_a_file_of_any_size_takes_that_of_the_source(tmp_path):
    path = mean_of_channels(tmp_path / "mean.onnx")
    (tmp_path / "mean.toml").write_text(CLASSIFIER.format(size='"source"'), "utf-8")
    model = load_model(str(path), block=16)
    assert (model.grid((17, 40)).height, model.grid((17, 40)).width) == (32, 64)
    assert model.grid((17, 40)).shape == (2, 4)
    sized = load_model(str(path), size=(24, 48))
    assert (sized.grid((17, 40)).height, sized.grid((17, 40)).width) == (24, 48)


def test_a_missing_card_is_asked_for_with_what_the_file_says(tmp_path):
    fixed = mean_of_channels(tmp_path / "fixed.onnx", inputs={"image": [1, 3, 96, 160]})
    with pytest.raises(ModelError) as refused:
        load_model(str(fixed))
    message = str(refused.value)
    assert "fixed.onnx has no card" in message
    assert "# fixed.onnx reads 'image' float32 (1, 3, 96, 160)" in message
    assert "size = [96, 160]" in message
    # The card it shows is one that can be used.
    (tmp_path / "fixed.toml").write_text(message.split("\n\n", 1)[1], "utf-8")
    (tmp_path / "labels.txt").write_text("cat\ndog\n", "utf-8")
    from streamdyn.models.card import ModelCard

    assert ModelCard.read(tmp_path / "fixed.toml").input.size == (96, 160)
    with pytest.raises(ModelError, match='size = "source"'):
        load_model(str(mean_of_channels(tmp_path / "open.onnx")))


def test_a_missing_card_suggests_what_reads_the_outputs(tmp_path, capsys):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["stem"], strides=[16, 16]),
        helper.make_node("Reshape", ["stem", "one"], ["y"]),
    ]
    weight = numpy_helper.from_array(np.zeros((7, 3, 16, 16), np.float32), "w")

    def template(shape: list[int]) -> str:
        one = numpy_helper.from_array(np.array(shape), "one")
        path = save(
            tmp_path / "net.onnx", nodes, inputs={"x": [1, 3, 64, 64]}, weights=(weight, one),
            output=shape,
        )  # fmt: skip
        with pytest.raises(ModelError) as refused:
            load_model(str(path))
        return str(refused.value).split("\n\n", 1)[1]

    maps = template([1, 7, 4, 4])
    assert 'postprocess = "fastestdet" # the outputs look like fastestdet with 2 labels' in maps
    assert "# 2 of them, one per line" in maps
    (tmp_path / "labels.txt").write_text("cat\ndog\n", "utf-8")
    (tmp_path / "net.toml").write_text(maps, "utf-8")
    assert load_model(str(tmp_path / "net.onnx")).describe().labels == ("cat", "dog")
    (tmp_path / "net.toml").unlink()
    scores = template([1, 112])
    assert 'task = "recognition"' in scores
    assert 'postprocess = "topk"' in scores
    assert 'postprocess = "./file.py:function" # no built-in one' in template([2, 7, 4, 2, 1])


def test_a_missing_card_names_the_outputs_to_read_where_there_are_more():
    outputs = {"aux": (1, 5), "logits": (1, 100, 81), "ids": (1, 3, 2, 2, 2), "boxes": (1, 100, 4)}
    message = missing_card("net.onnx", "net", (64, 64), outputs=outputs)
    assert "tensors = ['logits', 'boxes']" in message
    assert 'postprocess = "detr"' in message


def test_a_wrong_postprocessing_is_refused_when_the_model_is_loaded(models_dir, tmp_path):
    card = tmp_path / "card.toml"
    card.write_text(CARD.read_text("utf-8").replace('"fastestdet"', '"yolo"'), "utf-8")
    message = r"'yolo' reads .* gives \(1, 85, 22, 22\), as for .*fastestdet with 80"
    with pytest.raises(ModelError, match=message):
        load_model(str(models_dir / "fastestdet.onnx"), card=card)


def test_a_convolutional_file_runs_at_another_size(tmp_path):
    path = mean_of_channels(tmp_path / "mean.onnx", inputs={"x": ["batch", 3, 64, "width"]})
    (tmp_path / "mean.toml").write_text(CLASSIFIER.format(size="[64, 96]"), "utf-8")
    assert load_model(str(path)).describe().input == (1, 3, 64, 96)
    assert load_model(str(path), size=(32, 96)).describe().input == (1, 3, 32, 96)


def test_a_size_that_the_file_does_not_take_is_refused(tmp_path):
    weight = numpy_helper.from_array(np.zeros((3 * 8 * 8, 3), np.float32), "w")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    path = save(tmp_path / "mean.onnx", nodes, inputs={"x": [1, 3, 8, 8]}, weights=(weight,))
    (tmp_path / "mean.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
    assert load_model(str(path)).describe().input == (1, 3, 8, 8)
    with pytest.raises(ModelError, match="takes an input of 8x8 px only, not of 16x8"):
        load_model(str(path), size=(16, 8))


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


def test_operators_of_the_runtime_and_local_functions_are_known(tmp_path):
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    nodes = [
        helper.make_node("Twice", ["x"], ["double"], domain="own"),
        helper.make_node("Gelu", ["double"], ["curved"], domain="com.microsoft"),
        helper.make_node("GlobalAveragePool", ["curved"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    path = tmp_path / "mean.onnx"
    save(path, nodes, functions=[twice])
    model = onnx.load(path)
    model.opset_import.extend(
        [helper.make_opsetid("own", 1), helper.make_opsetid("com.microsoft", 1)]
    )
    onnx.save(model, path)
    (tmp_path / "mean.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
    assert load_model(str(path)).describe().outputs == {"y": (1, 3)}


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


class TestExternalData:
    """No file may make the runtime read outside of the model's own folder."""

    @pytest.fixture
    def folder(self, tmp_path):
        """The model's folder, with weights in it, and a secret outside."""
        folder = tmp_path / "model"
        folder.mkdir()
        np.ones(1, np.float32).tofile(folder / "weights.bin")
        np.ones(1, np.float32).tofile(tmp_path / "secret.bin")
        (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
        (folder / "away").symlink_to(tmp_path)
        (folder / "circle.bin").symlink_to("circle.bin")
        return folder

    NODES = (
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "w"], ["y"]),
    )

    def test_data_in_the_folder_is_read(self, folder):
        path = save(folder / "net.onnx", [*self.NODES], weights=(external("weights.bin"),))
        (folder / "net.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
        assert load_model(str(path)).describe().outputs == {"y": (1, 3)}

    @pytest.mark.parametrize(
        ("location", "fault"),
        [
            ("../secret.bin", "a path that leaves the folder"),
            ("sub/../../secret.bin", "a path that leaves the folder"),
            ("..\\secret.bin", "a path that leaves the folder"),
            ("/etc/passwd", "an absolute path"),
            ("C:\\secret.bin", "an absolute path"),
            ("\\\\host\\share\\secret.bin", "an absolute path"),
            ("link.bin", "a symbolic link"),
            ("away/secret.bin", "a symbolic link"),
            ("circle.bin", "which "),
            ("weights.bin\0", "which cannot be followed"),
            ("none.bin", "which is missing"),
            (".", "which is missing"),
        ],
    )
    def test_data_elsewhere_is_refused(self, folder, location, fault):
        path = save(folder / "net.onnx", [*self.NODES], weights=(external(location),))
        with pytest.raises(ModelError) as refused:
            load_model(str(path), card=CARD)
        assert f"tensor 'w' keeps its data in {location!r}" in str(refused.value)
        assert fault in str(refused.value)

    def test_a_second_location_is_checked_too(self, folder):
        tensor = external("weights.bin")
        tensor.external_data.add(key="location", value="../secret.bin")
        path = save(folder / "net.onnx", [*self.NODES], weights=(tensor,))
        with pytest.raises(ModelError, match="leaves the folder"):
            load_model(str(path), card=CARD)

    def test_tensors_of_attributes_and_subgraphs_are_checked(self, folder):
        constant = helper.make_node("Constant", [], ["w"], value=external("../secret.bin"))
        branch = helper.make_graph(
            [helper.make_node("Identity", ["w"], ["z"])],
            "branch",
            [],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
            [external("../secret.bin")],
        )
        choice = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        flag = numpy_helper.from_array(np.array(True), "c")
        attribute = save(folder / "attribute.onnx", [constant, *self.NODES])
        subgraph = save(folder / "subgraph.onnx", [choice], weights=(flag,))
        for path in (attribute, subgraph):
            with pytest.raises(ModelError, match="leaves the folder"):
                load_model(str(path), card=CARD)

    def test_a_model_behind_a_link_is_read_from_where_it_lies(self, folder, tmp_path):
        save(folder / "net.onnx", [*self.NODES], weights=(external("weights.bin"),))
        (folder / "net.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
        (tmp_path / "shortcut").symlink_to(folder)
        assert load_model(str(tmp_path / "shortcut" / "net.onnx")).name == "mean"
