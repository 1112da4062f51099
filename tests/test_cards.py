"""Model cards: every wrong field is named, with what was given and what is allowed."""

import re
from pathlib import Path

import numpy as np
import pytest

from streamdyn import Detections, ModelError
from streamdyn.fit import Fit
from streamdyn.models.card import InputCard, ModelCard, OutputCard
from streamdyn.postprocess import BUILTIN

CARDS = Path(__file__).parents[1] / "data" / "cards"

GOOD = """
name = "net"
task = "detection"

[input]
size = [64, 96]

[output]
postprocess = "yolo"
labels = ["cat", "dog"]
"""


def card(folder: Path, text: str = GOOD) -> ModelCard:
    path = folder / "net.toml"
    path.write_text(text, "utf-8")
    return ModelCard.read(path)


def test_defaults_are_those_of_most_networks(tmp_path):
    read = card(tmp_path)
    assert (read.name, read.task, read.output.labels) == ("net", "detection", ("cat", "dog"))
    assert read.input == InputCard(size=(64, 96), fit="stretch", color="rgb", scale=255.0)
    assert (read.input.mean, read.input.std) == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("path", sorted(CARDS.glob("*.toml")), ids=lambda path: path.stem)
def test_cards_that_come_along_are_right_and_name_no_path(path):
    read = ModelCard.read(path)
    assert read.name == path.stem
    assert not re.search(r"[\w.]/\w+\.(onnx|pt)", path.read_text("utf-8"))


class TestGuide:
    """data/cards/README.md says what the code does."""

    GUIDE = (CARDS / "README.md").read_text("utf-8")

    def test_every_field_and_postprocessing_is_described(self):
        described = set(re.findall(r"`(\w+)`", self.GUIDE))
        names = {name for table in BUILTIN.values() for name in table}
        assert {*InputCard.model_fields, *OutputCard.model_fields, *names} <= described

    def test_its_card_is_right(self, tmp_path):
        (tmp_path / "labels.txt").write_text("cat\ndog\n", "utf-8")
        text = re.search(r"```toml\n(.*?)```", self.GUIDE, re.DOTALL)[1]
        assert card(tmp_path, text).output.options == {"score": 0.3}

    def test_its_postprocessing_works(self, tmp_path):
        code = re.search(r"```python\n(.*?)```", self.GUIDE, re.DOTALL)[1]
        (tmp_path / "own.py").write_text(code, "utf-8")
        read = card(tmp_path, GOOD.replace("yolo", "./own.py:boxes"))
        output = np.array([[[2, 4, 6, 8, 0.9, 1], [0, 0, 1, 1, 0.1, 0]]], np.float32)
        found = read.postprocess(
            [output], Fit.make("stretch", (8, 8), (16, 16)), read.output.labels
        )
        assert found.names == ("dog",)
        np.testing.assert_allclose(found.boxes, [[1, 2, 3, 4]])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "name =",
            "title =",
            "name is missing; title is not a field of a card; there are name, task",
        ),
        (
            '"detection"',
            '"detecting"',
            "task is 'detecting'; it may be 'recognition', 'detection' or",
        ),
        ("[64, 96]", "[64]", 'input.size is [64]; give [height, width] in pixels, or "source"'),
        ("[64, 96]", "[64, 0]", "input.size is [64, 0]; give"),
        ("[64, 96]", "[64.0, 96.0]", "input.size is [64.0, 96.0]; give"),
        ("[64, 96]", '"sauce"', "input.size is 'sauce'; give"),
        ("size = [64, 96]", "", "input.size is missing"),
        (
            "size =",
            'colour = "rgb"\nsize =',
            "input.colour is not a field of a card; did you mean color?",
        ),
        ("size =", 'color = "gbr"\nsize =', "input.color is 'gbr'; it may be 'rgb' or 'bgr'"),
        (
            "size =",
            'fit = "squash"\nsize =',
            "input.fit is 'squash'; it may be 'stretch', 'letterbox'",
        ),
        ("size =", "scale = 0.0\nsize =", "input.scale is 0.0; should be greater than 0"),
        ("size =", "scale = inf\nsize =", "input.scale is inf; should be a finite number"),
        ("size =", "mean = [0.5, 0.5]\nsize =", "input.mean.2 is missing"),
        (
            "size =",
            'mean = [0.5, "x", 0.5]\nsize =',
            "input.mean.1 is 'x'; should be a valid number",
        ),
        ("size =", "std = [1.0, 1.0, 0.0]\nsize =", "input.std.2 is 0.0; should be greater than 0"),
        ("size =", "pad = 300\nfit = 'letterbox'\nsize =", "input.pad is 300; should be less than"),
        (
            "size =",
            'interpolation = "cubic"\nsize =',
            "input.interpolation is 'cubic'; it may be 'nearest'",
        ),
        ("size =", "multiple = 8\nsize =", "input: multiple would do nothing with size = (64, 96)"),
        ("size =", "crop_fraction = 0.9\nsize =", "input: crop_fraction would do nothing"),
        (
            "size =",
            "pad = 3\nsize =",
            "input: pad would do nothing with size = (64, 96) and fit = 'stretch'",
        ),
        ("size = [64, 96]", 'size = "source"\nfit = "crop"', "input: fit would do nothing"),
        ("[input]\nsize = [64, 96]", "input = 3", "input is 3; it must be a table, [input]"),
        (
            '"yolo"',
            '"yoIo"',
            "output.postprocess: there is no 'yoIo' for detection; did you mean yolo?",
        ),
        (
            '"yolo"',
            '"argmax"',
            "there is no 'argmax' for detection; there are detr, fastestdet, yolo",
        ),
        (
            '"yolo"',
            '"os.path:nothing_here"',
            "output.postprocess 'os.path:nothing_here': no 'nothing_here'",
        ),
        ('"yolo"', '"no_such_module_:f"', "there is no module 'no_such_module_'"),
        ('"yolo"', '"./post.py:f"', "output.postprocess './post.py:f': there is no file"),
        ('"yolo"', '"math:pi"', "output.postprocess 'math:pi' is no function"),
        (
            '"yolo"',
            '"os.path:isdir"',
            "output.postprocess: os.path:isdir must take (outputs, fit, classes",
        ),
        ('["cat", "dog"]', "[]", "output.labels is []; "),
        ('["cat", "dog"]', '["cat", 2]', "output.labels.1 is 2; should be a valid string"),
        (
            '["cat", "dog"]',
            '"none.txt"',
            "output.labels is 'none.txt'; cannot read the labels, one per line",
        ),
        (
            'labels = ["cat"',
            'options = {scor = 0.5}\nlabels = ["cat"',
            "output.options: yolo has no scor; it takes score",
        ),
        (
            'labels = ["cat"',
            'options = {score = 7}\nlabels = ["cat"',
            "output.options.score is 7; should be less than",
        ),
        (
            'labels = ["cat"',
            'options = {limit = "a"}\nlabels = ["cat"',
            "output.options.limit is 'a'; should be a valid",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(ModelError) as refused:
        card(tmp_path, GOOD.replace(old, new, 1))
    text = str(refused.value)
    assert text.startswith(f"card {tmp_path / 'net.toml'}: ")
    assert message in text


def test_a_file_that_is_no_card(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read the card .*none.toml: No such file"):
        ModelCard.read(tmp_path / "none.toml")
    with pytest.raises(ModelError, match=r"net.toml is not TOML: .*line 1"):
        card(tmp_path, "name: net")
    (tmp_path / "net.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"net.toml is not TOML"):
        ModelCard.read(tmp_path / "net.toml")


def test_several_problems_are_told_at_once(tmp_path):
    with pytest.raises(ModelError, match=r"task is 'x'; .*; input.size is 'y'; "):
        card(tmp_path, GOOD.replace("detection", "x").replace("[64, 96]", '"y"'))


def test_labels_come_from_a_file_beside_the_card(tmp_path, monkeypatch):
    (tmp_path / "names.txt").write_text("cat\n\n dog \n", "utf-8")
    monkeypatch.chdir("/")
    assert card(tmp_path, GOOD.replace('["cat", "dog"]', '"names.txt"')).output.labels == (
        "cat",
        "dog",
    )


def test_a_segmentation_has_labels_that_fit_in_a_byte(tmp_path):
    text = GOOD.replace("detection", "segmentation").replace("yolo", "argmax")
    many = str([f"class {n}" for n in range(257)])
    with pytest.raises(ModelError, match=r"output.labels: a segmentation has at most 256 classes"):
        card(tmp_path, text.replace('["cat", "dog"]', many))


def test_options_reach_the_postprocessing(tmp_path):
    output = np.zeros((1, 6, 4), np.float32)
    output[0, :, 0] = [8, 8, 4, 4, 0.5, 0.1]
    fit = Fit.make("stretch", (64, 96), (64, 96))
    for score, found in [(0.4, 1), (0.6, 0)]:
        read = card(tmp_path, GOOD + f"options = {{score = {score}}}")
        assert len(read.postprocess([output], fit, read.output.labels)) == found


def test_own_postprocessing_lies_beside_the_card(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "from streamdyn import Detections\n"
        "def boxes(outputs, fit, classes, *, score: float, **rest):\n"
        "    box = np.full((1, 4), rest['side'], np.float32)\n"
        "    return Detections(box, np.array([score]), np.zeros(1, np.int64), classes[:1])\n",
        "utf-8",
    )
    monkeypatch.chdir("/")
    text = GOOD.replace("yolo", "./own.py:boxes")
    read = card(tmp_path, text + "options = {score = 0.25, side = 3}")
    found = read.postprocess([], Fit.make("stretch", (4, 4), (4, 4)), ("cat",))
    assert isinstance(found, Detections)
    assert (found.scores[0], found.boxes[0, 0], found.names) == (0.25, 3, ("cat",))
    with pytest.raises(ModelError, match="missing a required argument: 'score'"):
        card(tmp_path, text)
    with pytest.raises(
        ModelError, match=r"output.options.score is 'high'; should be a valid number"
    ):
        card(tmp_path, text + "options = {score = 'high'}")


def test_own_postprocessing_that_cannot_be_imported(tmp_path):
    (tmp_path / "bad.py").write_text("1 / 0\n", "utf-8")
    with pytest.raises(ModelError, match=r"'./bad.py:f': .*ZeroDivisionError: division by zero"):
        card(tmp_path, GOOD.replace("yolo", "./bad.py:f"))


class TestLay:
    def test_source_size_is_padded_to_a_multiple(self):
        fit = InputCard(size="source", multiple=16).lay((17, 31))
        assert (fit.source, fit.size, fit.picture) == ((17, 31), (32, 32), (0, 0, 17, 31))

    def test_fixed_sizes_fit_as_the_card_says(self):
        letterbox = InputCard(size=(64, 64), fit="letterbox").lay((50, 100))
        assert letterbox.picture == (16, 0, 32, 64)
        crop = InputCard(size=(224, 224), fit="crop", crop_fraction=0.875).lay((480, 480))
        assert crop.picture == (-16, -16, 256, 256)

    def test_pictures_too_large_to_pad_are_refused(self):
        with pytest.raises(ModelError, match=r"100x100 px cannot be padded to 64x64 px"):
            InputCard(size=(64, 64), fit="pad").lay((100, 100))

    def test_another_size_keeps_the_fit_and_letterboxes_what_was_of_any(self):
        crop = InputCard(size=(64, 64), fit="crop").resized((32, 48))
        assert (crop.size, crop.fit) == ((32, 48), "crop")
        any_size = InputCard(size="source").resized((30, 48))
        assert (any_size.size, any_size.fit) == ((30, 48), "letterbox")

    @pytest.mark.parametrize(
        ("size", "nearest"),
        [
            ((300, 400), "288x384, 288x416, 320x384, 320x416"),
            ((320, 400), "320x384, 320x416"),
            ((20, 40), "32x32, 32x64"),
        ],
    )
    def test_sides_that_are_no_multiples_are_refused(self, size, nearest):
        stated = InputCard(size="source", multiple=32)
        with pytest.raises(ModelError, match=rf"multiples of 32; the nearest are {nearest}$"):
            stated.resized(size)
        assert stated.resized((320, 416)).size == (320, 416)
