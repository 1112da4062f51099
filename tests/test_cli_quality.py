"""Runs that are held at a quality, and policies that hang."""

import json
from functools import partial

import pytest

from streamdyn import load_results
from streamdyn.quality import Quality
from tests.cli_kit import CLIP, run


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


def test_labels_follow_the_picture_on_frames_that_are_skipped(tmp_path):
    clip = "synthetic:street?seed=5&height=64&width=128&frames=6&pan=4"
    shown = {}
    for name, words in {"plain": (), "warped": ("--warp",)}.items():
        out = tmp_path / name
        model = ("--model", "street", "--policy", "Interval(every=6)")
        assert run("run", clip, *model, *words, "--out", out) == 0
        shown[name] = [r.result.labels for r in load_results(next(out.glob("*/results.jsonl")))]
    assert (shown["plain"][0] == shown["warped"][0]).all()
    assert (shown["plain"][5] == shown["plain"][0]).all()
    assert (shown["warped"][5] != shown["warped"][0]).any()
