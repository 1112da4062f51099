"""ONNX files and their cards: found beside the file, asked for where there is none, held to it."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from streamdyn import ModelError, load_model
from streamdyn.models.template import missing_card
from tests.models_onnx_kit import CARD, CLASSIFIER, frame, mean_of_channels, save


def test_the_card_lies_beside_the_file(tmp_path):
    path = mean_of_channels(tmp_path / "mean.onnx")
    (tmp_path / "mean.toml").write_text(CLASSIFIER.format(size="[8, 8]"), "utf-8")
    model = load_model(str(path))
    image = np.full((16, 12, 3), (0, 51, 255), np.uint8)
    result = model(frame(image), model.grid((16, 12)).all(), model.new_cache((16, 12)))
    assert result.names == ("blue", "green", "red")
    np.testing.assert_allclose(result.scores, [1.0, 0.2, 0.0], atol=1e-6)


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
