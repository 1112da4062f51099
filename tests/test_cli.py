import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamdyn import load_results
from streamdyn.cli import main

CLIP = "synthetic:street?height=64&width=96&frames=6&seed=3"


def run(*words):
    return main([str(word) for word in words])


def test_run_writes_results_and_a_summary(tmp_path, capsys):
    assert run("run", CLIP, "--policy", "Interval(every=3)", "--out", tmp_path / "out") == 0
    (folder,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    results = load_results(folder)
    assert [r.status for r in results] == ["computed", "reused", "reused"] * 2
    assert results[0].result.labels.shape == (64, 96)
    shown = capsys.readouterr().out
    assert "results.jsonl" in shown
    assert "summary.json" in shown


def test_a_line_of_results_holds_what_it_promises(tmp_path):
    run("run", CLIP, "--out", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*/results.jsonl")
    for index, line in enumerate(path.read_text().splitlines()):
        record = json.loads(line)
        assert record["index"] == index
        assert record.keys() >= {
            *("stream", "index", "pts_seconds", "status", "age_frames", "age_seconds"),
            *("density", "share", "latency_seconds", "result"),
        }


def test_json_prints_the_summary_and_nothing_else(tmp_path, capsys):
    assert run("run", CLIP, "--out", tmp_path / "out", "--json") == 0
    (stream,) = json.loads(capsys.readouterr().out)["streams"]
    assert stream["decoded"] == stream["computed"] + stream["reused"] == 6
    assert set(stream["latency_seconds"]) == {"p50", "p95", "p99"}
    assert set(stream["seconds"]) == {"decode", "policy", "model", "sinks"}


def test_selection(tmp_path, capsys):
    options = ("--stride", 2, "--max-frames", 2, "--start", 0.04, "--json")
    assert run("run", CLIP, "--out", tmp_path / "out", *options) == 0
    (folder,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert [r.pts_seconds for r in load_results(folder)] == pytest.approx([0.04, 0.12])


def test_results_are_not_overwritten_silently(tmp_path, capsys):
    assert run("run", CLIP, "--out", tmp_path) == 0
    assert run("run", CLIP, "--out", tmp_path) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert run("run", CLIP, "--out", tmp_path, "--overwrite") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.mp4"], "nowhere.mp4"),
        (["nowhere/*.mp4"], "nowhere"),
        (["synthetic:moon"], "street"),
        ([CLIP, "--model", "nowhere.onnx"], "nowhere.onnx"),
        ([CLIP, "--model", "stret"], "street"),
        ([CLIP, "--policy", "Chnage"], "Change"),
        ([CLIP, "--policy", "./nowhere.py:Mine"], "nowhere.py"),
        ([CLIP, "--save", "jsno"], "jsonl"),
    ],
)
def test_what_cannot_run_is_explained_without_a_traceback(words, message, tmp_path, capsys):
    assert run("run", *words, "--out", tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert message in shown.err + shown.out
    assert "Traceback" not in shown.err


def test_an_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("run", CLIP, "--out", tmp_path / "file" / "out") == 1
    assert "file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--size", "44"], ["--stride", "0"], ["--live", "--file"], ["--block", "x"]]
)
def test_a_wrong_command_line_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        run("run", CLIP, *words)
    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_one_bad_stream_of_two_fails_the_run_but_not_the_other(tmp_path, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"")
    assert run("run", bad, CLIP, "--out", tmp_path / "out") == 1
    assert "the file is empty" in " ".join(capsys.readouterr().out.split())
    assert len(list((tmp_path / "out").glob("street*/results.jsonl"))) == 1


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_whole_lines_and_says_so(number, tmp_path):
    words = [
        "run",
        "synthetic:square?frames=100000",
        "--policy",
        "First",
        "--out",
        tmp_path / "out",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamdyn", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 90
    while not list((tmp_path / "out").glob("*/results.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(number)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in shown
    assert "Traceback" not in shown
    (path,) = (tmp_path / "out").glob("*/results.jsonl")
    lines = path.read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))
    assert (tmp_path / "out" / "summary.json").is_file()


MOVING = """
from streamdyn import BlockMask, Frame, Policy, StreamState

class Moving(Policy):
    reads_motion = True

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return state.grid.none() if frame.motion is None else state.grid.all()
"""


def test_a_policy_that_reads_motion_gets_vectors(tmp_path):
    (tmp_path / "moving.py").write_text(MOVING)
    policy = f"{tmp_path}/moving.py:Moving"
    clip = Path(__file__).parents[1] / "data" / "street.mp4"
    assert run("run", clip, "--policy", policy, "--max-frames", 4, "--out", tmp_path / "out") == 0
    results = load_results(tmp_path / "out" / "street")
    assert [r.status for r in results] == ["computed"] * 4
    assert [r.fault for r in results] == [None] * 4
