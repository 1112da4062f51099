"""Models by name, and names that are none."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamdyn import ModelError, Segmentation, load_model
from streamdyn.models.packaged import builtin_names
from tests.models_kit import frame, noise, write_colours


@pytest.fixture
def folder(tmp_path):
    return write_colours(tmp_path)


class TestNames:
    @pytest.mark.parametrize("name", ["colours", "colours(gain=2.0)", "Colours", "MODULE"])
    def test_python_callables(self, folder, name):
        model = load_model(f"{folder}/net.py:{name}")
        image = noise(24, 16)
        result = model(frame(image), model.grid((24, 16)).all(), model.new_cache((24, 16)))
        assert isinstance(result, Segmentation)
        np.testing.assert_array_equal(result.labels, image.argmax(axis=2))

    def test_python_modules_of_the_current_folder(self, folder, monkeypatch):
        (folder / "net.py").rename(folder / "net_of_this_test.py")
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "path", list(sys.path))
        model = load_model("net_of_this_test:colours", card=folder / "net.toml", block=8)
        assert (model.name, model.task, model.classes[0]) == ("colours", "segmentation", "red")
        assert model.grid((24, 16)).shape == (3, 2)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("net.py:colour", "no 'colour' in .*; did you mean colours?"),
            ("nets.py:colours", "there is no file .*nets.py"),
            ("net.py:number", "gives int; it must give a torch.nn.Module"),
            ("net.py:broken", "fails: RuntimeError: no such weights"),
            ("net.py:colours(size=3)", "fails: TypeError: .*size"),
            ("net.py:colours(size", "cannot read the arguments"),
        ],
    )
    def test_python_that_gives_no_network(self, folder, name, message):
        with pytest.raises(ModelError, match=message):
            load_model(f"{folder}/{name}")

    def test_a_card_is_asked_for(self, folder):
        (folder / "net.toml").unlink()
        with pytest.raises(ModelError, match=r"(?s)has no card.*Save this as net.toml.*\[input\]"):
            load_model(f"{folder}/net.py:colours")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("stret", "no model 'stret'; did you mean street?"),
            ("quux", f"no model 'quux'; built-in: {', '.join(builtin_names())}. Other forms: FILE"),
            ("no_such_module_:net", "there is no module 'no_such_module_'"),
            (
                "https://me:secret@host/net.onnx",
                r"'https://\*\*\*@host/net.onnx' is a URL; download",
            ),
        ],
    )
    def test_unknown_names(self, name, message):
        with pytest.raises(ModelError, match=message):
            load_model(name)

    def test_weights_without_a_network(self, tmp_path):
        (tmp_path / "weights.pt").write_bytes(b"")
        with pytest.raises(ModelError, match=r"weights.pt' is of no known kind: give FILE.onnx"):
            load_model(str(tmp_path / "weights.pt"))

    @pytest.mark.parametrize("library", ["torchvision", "timm"])
    def test_optional_libraries_are_asked_for(self, library, monkeypatch):
        monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
        with pytest.raises(ModelError, match=f"{library}:resnet18 needs .*pip install {library}"):
            load_model(f"{library}:resnet18")

    @pytest.mark.parametrize("wrong", [{"size": (0, 8)}, {"block": 0}, {"threads": 0}])
    def test_numbers_must_be_positive(self, wrong):
        with pytest.raises(ModelError, match="size, block and threads must be positive"):
            load_model("street", **wrong)

    def test_a_wrong_name_is_refused_without_loading_torch(self):
        code = (
            "import sys, streamdyn\n"
            "try: streamdyn.load_model('stret')\n"
            "except streamdyn.ModelError: print('torch' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", builtin_names())
def test_every_built_in_model_has_its_callable(name):
    folder = Path(sys.modules["streamdyn.models"].__file__).with_name("builtin")
    assert f"def {name}(" in (folder / f"{name}.py").read_text("utf-8")
