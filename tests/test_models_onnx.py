"""ONNX files: what runs gives what ONNX Runtime gives, at the sizes that the file takes."""

from pathlib import Path

import av
import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from streamdyn import Detections, ModelError, load_model
from streamdyn.models.onnx import load
from streamdyn.models.request import Request
from tests.models_onnx_kit import CARD, CLASSIFIER, frame, mean_of_channels, save


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


def test_a_file_of_any_size_takes_that_of_the_source(tmp_path):
    path = mean_of_channels(tmp_path / "mean.onnx")
    (tmp_path / "mean.toml").write_text(CLASSIFIER.format(size='"source"'), "utf-8")
    model = load_model(str(path), block=16)
    assert (model.grid((17, 40)).height, model.grid((17, 40)).width) == (32, 64)
    assert model.grid((17, 40)).shape == (2, 4)
    sized = load_model(str(path), size=(24, 48))
    assert (sized.grid((17, 40)).height, sized.grid((17, 40)).width) == (24, 48)


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
    # Nothing but ONNX Runtime can run it.
    with pytest.raises(ModelError, match=r"can run on the CPU only, whole, and not on cuda: "):
        load(str(path), Request(device="cuda"))
