"""The commands that say what there is: check, inspect, policies, demo; and how all are called."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from streamdyn.cli.arguments import parse_kinds
from tests.cli_kit import CLIP, run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.mp4"], "nowhere.mp4"),
        (["nowhere/*.mp4"], "nowhere"),
        (["synthetic:moon"], "street"),
        ([CLIP, "--model", "nowhere.onnx"], "nowhere.onnx"),
        ([CLIP, "--model", "stret"], "street"),
        ([CLIP, "--size", "300x400"], "the nearest are 288x384, 288x416, 320x384, 320x416"),
        ([CLIP, "--policy", "Chnage"], "Change"),
        ([CLIP, "--policy", "./nowhere.py:Mine"], "nowhere.py"),
    ],
)
def test_what_cannot_run_is_explained_without_a_traceback(words, message, tmp_path, capsys):
    assert run("run", *words, "--out", tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert message in shown.err + shown.out
    assert "Traceback" not in shown.err


def test_unknown_kinds_of_results_are_refused_before_anything_is_loaded(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("run", CLIP, "--model", "nowhere.onnx", "--save", "csv,jsno", "--out", tmp_path / "out")
    assert stopped.value.code == 2
    shown = capsys.readouterr().err
    assert "'jsno'; did you mean jsonl?" in shown
    assert not (tmp_path / "out").exists()


def test_a_kind_named_twice_is_written_once():
    assert parse_kinds("csv,jsonl,csv") == ["csv", "jsonl"]


@pytest.mark.parametrize(
    "words", [["--size", "44"], ["--stride", "0"], ["--live", "--file"], ["--block", "x"]]
)
def test_a_wrong_command_line_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("run", CLIP, *words)
    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        run("--version")
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"streamdyn {version('streamdyn')}\n"


def test_check_says_what_is_wrong(tmp_path, capsys):
    assert run("check", CLIP) == 0
    assert capsys.readouterr().out.count("ok ") == 3
    (tmp_path / "mine.py").write_text(
        "from streamdyn import Policy\n"
        "class Mine(Policy):\n"
        "    def decide(self, frame, state):\n"
        "        return None\n"
    )
    assert run("check", "nowhere.mp4", "--policy", f"{tmp_path}/mine.py:Mine") == 1
    shown = capsys.readouterr()
    assert "nowhere.mp4" in shown.err
    assert "returned NoneType, not a BlockMask" in shown.err
    assert "ok    model street" in shown.out


def test_check_finds_a_card_that_does_not_fit_the_network(tmp_path, capsys):
    (tmp_path / "net.py").write_text(
        "import torch\n\ndef net():\n    return torch.nn.Conv2d(3, 2, 3, padding=1)\n"
    )
    (tmp_path / "net.toml").write_text(
        'name = "net"\ntask = "segmentation"\n[input]\nsize = "source"\n'
        '[output]\npostprocess = "argmax"\nlabels = ["a", "b", "one too many"]\n'
    )
    assert run("check", CLIP, "--model", f"{tmp_path}/net.py:net") == 1
    assert "FAIL  model" in capsys.readouterr().err


def test_policies_and_inspect(capsys):
    assert run("policies") == 0
    assert "threshold=6.0" in capsys.readouterr().out
    assert run("inspect", "street") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "segmentation" in shown
    assert "10.0x at 10%" in shown
    assert "dense" not in shown
    assert run("inspect", "street", "--json") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["task"] == "segmentation"
    assert sum(layer["macs"] for layer in described["layers"]) == described["macs"]


def test_demo_shows_where_everything_lies(tmp_path, capsys):
    assert run("demo", "--out", tmp_path / "demo", "--policy", "Interval(every=50)") == 0
    shown = capsys.readouterr().out
    for name in ("results.jsonl", "annotated.mp4", "overview.png"):
        assert name in shown
    assert "mean IoU with the clip's ground truth" in shown


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom streamdyn.cli import main\ntry: main(['--help'])\n"
        "except SystemExit: print('LOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.partition("LOADED")[2].split())
    assert loaded & {"torch", "av", "cv2", "numpy", "onnxruntime", "rich", "matplotlib"} == set()
