"""Policies against trivial ones: the fronts, the clips, and the figures that come of them."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import Segmentation, SourceError, load_model, load_policy, open_source
from streamdyn.bench.policies.clip import load_clips, load_coded
from streamdyn.bench.policies.entrants import (
    Entrant,
    default_entrants,
    entrants_of,
    trivial_entrants,
)
from streamdyn.bench.policies.figures import POINT, figures, target_figures
from streamdyn.bench.policies.front import Front
from streamdyn.bench.policies.jobs import default_jobs
from streamdyn.bench.policies.scores import Scores
from streamdyn.bench.policies.trial import Outcome, Trial
from streamdyn.cli import main
from streamdyn.quality import Quality

STREET = "synthetic:street?seed=5&height=64&width=128&frames=12"

unit = st.floats(0, 1)
points = st.lists(st.tuples(unit, unit), min_size=1, max_size=20)


def outcome(share: float, agreement: float, **more: float) -> Outcome:
    told = {"time": share, "density": share, "policy_ms": 0.1, "dense_ms": 3.0, "miou": None}
    return Outcome(agreement, share, **{"audits": 0, "faults": 0, **told, **more})


@given(points)
def test_no_point_beats_its_front(points):
    front = Front(points)
    assert set(front.points) <= set(points)
    for cost, quality in points:
        assert front.quality(cost) >= quality
        assert front.cost(quality) <= cost
    for (cheap, bad), (dear, good) in pairwise(front.points):
        assert cheap < dear
        assert bad < good


def test_a_front_is_joined_by_lines():
    front = Front([(0.1, 0.8), (0.5, 0.9), (0.3, 0.7), (0.4, 0.6)])
    assert front.quality(0.3) == pytest.approx(0.85)
    assert front.cost(0.85) == pytest.approx(0.3)
    assert front.cost(0.5) == 0.1
    assert front.cost(0.95) == float("inf")
    with pytest.raises(ValueError, match="a point"):
        Front([])


def test_a_policy_with_a_threshold_is_tried_at_several():
    found = list(entrants_of(["Change(threshold=6, grow=1)", "Interval"], octaves=(0.5, 1, 2)))
    assert [entrant.make().threshold for entrant in found] == [3, 6, 12, None]
    assert [entrant.family for entrant in found] == ["Change(threshold=6, grow=1)"] * 3 + [
        "Interval"
    ]


def test_everyone_who_takes_part_can_be_made():
    everyone = [*trivial_entrants(), *default_entrants()]
    assert len({(entrant.name, entrant.factor) for entrant in everyone}) == len(everyone)
    for entrant in everyone:
        assert entrant.make().threshold != 0


def test_the_frames_of_a_clip_are_new_to_everyone():
    (clip,) = load_clips(STREET, max_frames=3)
    first, second = list(clip.frames()), list(clip.frames())
    expected = [frame.image for frame in open_source(STREET, max_frames=3)]
    assert first[2].image.shape == (64, 128, 3)
    assert "image" not in vars(second[2])
    for frame, image in zip(second, expected, strict=True):
        np.testing.assert_array_equal(frame.image, image)


def test_a_coded_scene_keeps_its_truth():
    drawn, coded = load_clips(STREET, max_frames=5)[0], load_coded(STREET, 35, max_frames=5)
    assert len(coded.kept) == 5
    for true, expected in zip(coded.truth, drawn.truth, strict=True):
        np.testing.assert_array_equal(true.labels, expected.labels)
    assert any(frame.motion is not None for frame in coded.frames())
    difference = np.abs(coded.kept[4].image.astype(int) - drawn.kept[4].image)
    assert 0.5 < difference.mean() < 20


@pytest.mark.parametrize(
    ("spec", "message"),
    [("synthetic:street?height=63&width=64", "even"), (__file__, "not synthetic")],
)
def test_what_cannot_be_coded_is_refused(spec, message):
    with pytest.raises(SourceError, match=message):
        load_coded(spec, 23, max_frames=1)


def test_only_the_street_tells_the_class_of_each_pixel():
    (square,) = load_clips("synthetic:square?frames=2")
    assert square.truth is None


@pytest.fixture(scope="module")
def trial() -> Trial:
    (clip,) = load_clips(STREET)
    return Trial("street", clip, load_model("street", threads=1))


def test_a_trial_measures_agreement_and_cost(trial):
    whole, half, first = (trial.run(load_policy(s)) for s in ("All", "Interval(every=2)", "First"))
    assert (whole.agreement, whole.share, whole.density) == (1, 1, 1)
    assert whole.miou == trial.dense_miou
    assert half.share == 0.5
    assert first.share == pytest.approx(1 / 12)
    assert first.agreement < half.agreement < 1
    assert first.miou < whole.miou
    assert first.time < whole.time
    assert whole.dense_ms > 0


def test_a_class_that_is_not_there_does_not_count(trial):
    truth = trial.clip.truth
    seen = {label for true in truth for label in np.unique(true.labels).tolist()}
    absent = next(label for label in range(len(truth[0].classes)) if label not in seen)
    wrong = [Segmentation(true.labels.copy(), true.classes) for true in truth]
    wrong[0].labels[:1, :1] = absent
    assert trial._miou(wrong) > 0.99


def test_audits_count_as_cost(trial):
    held = trial.run(
        load_policy("Change(threshold=100)"), Quality(target=0.5, audit_cost=0.5, guard=False)
    )
    assert held.audits > 0
    assert held.share == pytest.approx(held.density + held.audits / 12, abs=0.05)


def test_failures_of_a_policy_are_counted(trial, tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(
        "from streamdyn import Policy\n\n\nclass Bad(Policy):\n"
        "    def decide(self, frame, state):\n        raise ValueError('bad')\n"
    )
    found = trial.run(load_policy(f"{path}:Bad"))
    assert (found.faults, found.share) == (11, 1)


def scores_of(*ours: tuple[str, float, float], fixed: bool = True) -> Scores:
    trivial = [
        (Entrant("Interval", f"Interval(every={n})", trivial=True), outcome(1 / n, 1.04 - n / 25))
        for n in (1, 2, 4, 8)
    ]
    return Scores(
        "clip",
        [*trivial, *((Entrant(name, name), outcome(share, a)) for name, share, a in ours)],
        fixed=fixed,
    )


def test_the_best_policy_is_set_against_the_trivial_ones():
    found = list(figures(scores_of(("Change", 0.1, 0.97), ("First", 0.05, 0.9))))
    told = {(m.case, m.metric): m for m in found}
    ours = told["clip: agreement 0.97, Change", "share of Interval"]
    # Every second frame reaches 0.96, each frame 1: 0.97 takes 5/8 of the frames.
    assert ours.value == pytest.approx(0.1 / 0.625)
    assert ours.asked.met(ours.value)
    assert told["clip: agreement 0.97, Change", "time of dense"].value == pytest.approx(0.1)
    assert told["clip: agreement 0.9, First", "share of dense"].value == pytest.approx(0.05)
    assert told["clip: agreement 0.98, All", "share of trivial front"].value > 1
    (point,) = (m for m in found if m.metric == POINT and m.about["policy"] == "Change")
    assert point.about["above_trivial_by_share"] == pytest.approx(0.97 - 0.72)


def test_a_user_who_names_interval_does_not_move_the_bar():
    scores = scores_of(("Interval", 0.1, 0.97), ("Change", 0.2, 0.9))
    assert scores.families == ["Interval", "Change"]
    assert scores.interval("share").cost(0.96) == pytest.approx(0.5)
    assert scores.curve("Interval", "share").points == [(0.1, 0.97)]


def test_half_the_cost_of_interval_is_asked_only_of_fixed_cameras():
    for fixed in (True, False):
        found = figures(scores_of(("Change", 0.1, 0.97), fixed=fixed))
        (ratio,) = (m for m in found if m.metric == "share of Interval")
        assert bool(ratio.asked) == fixed


def test_truth_is_lost_in_points_of_miou():
    good, dear = outcome(0.15, 0.9, miou=0.70, time=0.3), outcome(0.5, 0.99, miou=0.9)
    entrant = Entrant("Change", "Change")
    other = Entrant("Interval", "Interval(every=2)", trivial=True)
    scores = Scores("clip", [(other, dear), (entrant, good), (entrant, dear)], dense_miou=0.72)
    found = {m.metric: m for m in figures(scores)}
    assert found["points of mIoU lost"].value == pytest.approx(2)
    assert not found["points of mIoU lost"].asked.met(2)
    assert found["speed-up, of 1 / share"].value == pytest.approx(0.5)


def test_a_target_may_be_missed_by_little():
    for agreement, met in ((0.94, True), (0.92, False)):
        reached, *costs = target_figures("clip", 0.95, "Change", outcome(1.2, agreement))
        assert reached.asked.met(reached.value) == met
        assert [m.asked.met(m.value) for m in costs] == [False, False]


def test_the_default_job_needs_no_real_clips(tmp_path):
    assert {job.model for job in default_jobs(None, None)} == {"street"}
    real = default_jobs(tmp_path, tmp_path)
    assert [len(job.sources) for job in real] == [1, 1, 2, 6]
    assert all(job.card.is_file() for job in real if job.card)


def test_policies_are_compared_from_the_command_line(tmp_path, capsys):
    path, picture = tmp_path / "figures.json", tmp_path / "fronts.png"
    words = f"bench policies --quick --threads 1 --source {STREET} --policies Change First"
    assert main([*words.split(), "--json", str(path), "--plot", str(picture)]) == 0
    records = json.loads(path.read_text())
    assert {record["about"]["trial"] for record in records} == {
        "street?seed=5&height=64&width=128&frames=12, street"
    }
    told = [record["about"] for record in records if record["metric"] == POINT]
    thresholds = [about["threshold"] for about in told if about["spec"] == "Change"]
    assert thresholds == [1.5, 12]
    assert sum(record["metric"] == "agreement reached" for record in records) == 3
    assert picture.stat().st_size > 10_000
    shown = capsys.readouterr().out
    assert "Interval(every=24)" in shown
    assert "reached" in shown


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (f"--source {STREET} --size 352", 2, "HEIGHTxWIDTH"),
        ("--targets 1.5", 2, "between 0 and 1"),
        ("--target-policy Interval", 1, "no threshold"),
        ("--policies Nothing", 1, "no 'Nothing'"),
        ("--source nowhere.mp4", 1, "nowhere.mp4"),
        ("--source udp://127.0.0.1:1", 1, "is live"),
    ],
)
def test_what_cannot_be_compared_is_refused(words, code, message, capsys):
    try:
        returned = main(["bench", "policies", "--quick", *words.split()])
    except SystemExit as stopped:
        returned = stopped.code
    assert returned == code
    assert message in capsys.readouterr().err
