"""The command that runs: what it writes, when it is stopped or a stream fails as well."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamdyn import load_results
from tests.cli_kit import CLIP, run


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


def test_an_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("run", CLIP, "--out", tmp_path / "file" / "out") == 1
    assert "file" in capsys.readouterr().err


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
