import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.console import Console

from streamdyn import load_results, open_source
from streamdyn.cli import main
from streamdyn.cli.arguments import parse_kinds
from streamdyn.cli.console import ProgressLines, expected_seconds
from streamdyn.quality import Quality
from streamdyn.sources import SourceInfo
from streamdyn.sources.selection import Selection

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
    assert set(stream["seconds"]) == {"decode", "policy", "model", "audits", "sinks"}
    assert stream["quality"] is None


def test_a_target_of_agreement_is_held_and_reported(tmp_path, capsys, monkeypatch):
    # On a busy machine the guard may find that computing all is cheaper, and nothing to audit.
    unguarded = partial(Quality, guard=False)
    monkeypatch.setattr("streamdyn.quality.Quality", unguarded)
    clip = CLIP.replace("frames=6", "frames=60")
    options = ("--target-agreement", 0.9, "--audit-cost", 0.2, "--refresh-seconds", 0.5)
    out = tmp_path / "out"
    assert run("run", clip, *options, "--out", out, "--json") == 0
    (stream,) = json.loads(capsys.readouterr().out)["streams"]
    quality = stream["quality"]
    assert quality["target"] == 0.9
    low, high = quality["interval"]
    assert 0 < low <= quality["agreement"] <= high <= 1
    assert quality["audit_share"] == quality["audits"] / 60 <= 0.2
    audits = [r.audit for r in load_results(next(out.glob("*/results.jsonl"))) if r.audit]
    assert len(audits) == quality["audits"]
    assert run("run", clip, *options, "--out", out, "--overwrite") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "target 0.9" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--target-agreement", "97"), "'97' does not lie between 0 and 1"),
        (("--target-agreement", "high"), "'high' is not a number"),
        (("--audit-cost", "0"), "'0' does not lie between 0 and 1"),
        (("--refresh-seconds", "nan"), "'nan' is not a number of seconds above 0"),
        (("--policy-timeout", "-1"), "'-1' is not a number of seconds above 0"),
    ],
)
def test_a_quality_that_makes_no_sense_is_a_wrong_command_line(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        run("run", CLIP, *words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_policy_that_no_target_can_move_is_refused(tmp_path, capsys):
    words = ("--policy", "Interval(every=2)", "--target-agreement", 0.9, "--out", tmp_path / "out")
    assert run("run", CLIP, *words) == 1
    error = capsys.readouterr().err
    assert "policy Interval has no threshold" in error
    assert "Change" in error
    assert not (tmp_path / "out").exists()


HANGS = """
import threading
from streamdyn import Policy

class Hangs(Policy):
    def decide(self, frame, state):
        threading.Event().wait()
"""


def test_a_policy_that_hangs_is_given_up(tmp_path, capsys, monkeypatch):
    (tmp_path / "hangs.py").write_text(HANGS)
    policy = f"{tmp_path}/hangs.py:Hangs"
    words = ("--policy", policy, "--policy-timeout", 0.01, "--out", tmp_path / "out", "--json")
    assert run("run", CLIP, *words) == 0
    (stream,) = json.loads(capsys.readouterr().out)["streams"]
    assert (stream["computed"], stream["mean_density"]) == (6, 1.0)
    (fault,) = stream["faults"]["first"]
    assert fault.startswith("frame 1: Hangs took longer than 0.1 s and is given up")
    monkeypatch.setattr("streamdyn.cli.check.POLICY_SECONDS", 0.1)
    assert run("check", "--policy", policy) == 1
    assert "it hangs: its checks took longer than 0.1 s" in capsys.readouterr().err


def test_selection(tmp_path, capsys):
    options = ("--stride", 2, "--max-frames", 2, "--start", 0.04, "--json")
    assert run("run", CLIP, "--out", tmp_path / "out", *options) == 0
    (folder,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert [r.pts_seconds for r in load_results(folder)] == pytest.approx([0.04, 0.12])


def test_results_are_not_overwritten_silently(tmp_path, capsys):
    assert run("run", CLIP, "--out", tmp_path) == 0
    assert run("run", CLIP, "--out", tmp_path) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert run("run", CLIP, "--out", tmp_path, "--overwrite", "--save", "csv") == 0
    shown = capsys.readouterr().out
    assert "results.csv" in shown
    assert "results.jsonl" not in shown
    assert not list(tmp_path.glob("*/results.jsonl"))


def test_a_run_that_did_nothing_is_not_in_the_way_of_the_next(tmp_path, capsys):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    assert run("run", clip, "--out", tmp_path / "out") == 1
    assert run("run", CLIP, "--out", tmp_path / "out") == 0
    (told,) = json.loads((tmp_path / "out" / "summary.json").read_text())["streams"]
    assert told["error"] is None


def test_a_dead_source_does_not_touch_the_others(tmp_path, capsys):
    words = ["http://127.0.0.1:9/x.mp4", "synthetic:square?frames=5", "--timeout", 2]
    assert run("run", *words, "--out", tmp_path, "--json") == 1
    dead, good = json.loads(capsys.readouterr().out)["streams"]
    assert "127.0.0.1:9" in dead["error"]
    assert (good["frames"], good["error"]) == (5, None)
    assert [path.parent.name for path in tmp_path.glob("*/results.jsonl")] == [good["stream"]]


def test_nothing_runs_when_a_source_is_not_there(tmp_path, capsys):
    assert run("run", CLIP, "nowhere.mp4", "--out", tmp_path / "out") == 1
    assert "nowhere.mp4" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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
    assert "'jsno'; choose from jsonl, csv, parquet, video" in shown
    assert not (tmp_path / "out").exists()


def test_a_kind_named_twice_is_written_once():
    assert parse_kinds("csv,jsonl,csv") == ["csv", "jsonl"]


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
    bad, out = tmp_path / "bad.mp4", tmp_path / "out"
    bad.write_bytes(b"")
    assert run("run", bad, CLIP, "--out", out) == 1
    shown = capsys.readouterr()
    assert "the file is empty" in " ".join(shown.out.split())
    assert f"1 of 2 streams failed; {out / 'summary.json'} says why" in shown.err
    told, good = json.loads((out / "summary.json").read_text())["streams"]
    assert "the file is empty" in told["error"]
    assert good["error"] is None
    assert len(list(out.glob("street*/results.jsonl"))) == 1


def test_no_line_is_empty_where_no_terminal_shows_progress(tmp_path, capsys):
    assert run("run", CLIP, "--out", tmp_path / "out") == 0
    model, source, *_ = capsys.readouterr().out.splitlines()
    assert model.startswith("model street")
    assert source.startswith("street: synthetic:street")


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_keeps_whole_lines_and_says_so(number, tmp_path):
    words = [
        "run",
        "synthetic:square?frames=100000",
        "--policy",
        "First",
        "--picture",
        "--out",
        tmp_path / "out",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "streamdyn", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 90
    while not list((tmp_path / "out").glob("*/results.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(number)
    outcome, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in shown
    assert "Traceback" not in shown
    for told in ("computed", "square", "results.jsonl", "overview.png", "summary.json"):
        assert told in outcome
    (path,) = (tmp_path / "out").glob("*/results.jsonl")
    lines = path.read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(len(lines)))
    (summary,) = json.loads((tmp_path / "out" / "summary.json").read_text())["streams"]
    assert summary["frames"] == len(lines)
    row = next(line.split() for line in outcome.splitlines() if line.startswith("square "))
    assert row[1:4] == [str(summary[name]) for name in ("decoded", "computed", "reused")]


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


INFO = SourceInfo(
    name="cam",
    url="cam.mp4",
    kind="mp4",
    live=False,
    live_reason="a file",
    size=(64, 96),
    claimed_fps=25.0,
    claimed_seconds=10.0,
)


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 10.0),
        ({"start": 4.0}, 6.0),
        ({"start": 14.0}, 0.0),
        ({"start": 4.0, "duration": 2.0}, 2.0),
        ({"start": 4.0, "duration": 20.0}, 6.0),
        ({"max_frames": 50}, 2.0),
        ({"max_frames": 50, "stride": 3}, 6.0),
        ({"max_frames": 50, "max_fps": 10.0}, 5.0),
        ({"max_frames": 500}, 10.0),
    ],
)
def test_the_time_left_is_that_of_the_chosen_part(options, seconds):
    assert expected_seconds(INFO, Selection(**options)) == pytest.approx(seconds)


def test_a_header_that_does_not_tell_gives_no_time_left():
    assert expected_seconds(replace(INFO, claimed_seconds=None), Selection()) is None
    assert expected_seconds(replace(INFO, claimed_fps=None), Selection(max_frames=5)) is None


def test_a_live_source_is_described_without_opening_it():
    class OneClient:
        """A camera that refuses a second connection."""

        name, url, live, live_reason = "door", "rtsp://door", True, "rtsp:// is live"

        def info(self):
            raise AssertionError("it was opened to describe it")

    console = Console(width=200, force_terminal=False)
    with console.capture() as capture, ProgressLines(console) as lines:
        lines.start(OneClient())
        lines.start(open_source("synthetic:square?frames=5", name="file"))
    shown = capture.get()
    assert "door: rtsp://door, live (rtsp:// is live)" in shown
    assert "file: synthetic:square" in shown
    assert "px" in shown
