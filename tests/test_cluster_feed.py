"""A stream whose engine is somewhere else: as if it were here, whatever happens to the engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdyn import Pipeline, Policy
from streamdyn.cluster.engine import Engine
from streamdyn.load import load_policy
from streamdyn.types import Prediction
from tests.cluster_kit import Here, Run, small_model, street, work


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine():
    engine = Engine()
    yield engine
    engine.shutdown()


def same(a: Prediction, b: Prediction) -> bool:
    return (
        (a.index, a.pts_seconds, a.status, a.age_frames, a.density)
        == (b.index, b.pts_seconds, b.status, b.age_frames, b.density)
        and np.array_equal(a.result.labels, b.result.labels)
        and np.array_equal(a.mask.active, b.mask.active)
    )


def kept(run: Run) -> list[Prediction]:
    """What whoever drops doubles keeps: the first of each index."""
    found: dict[int, Prediction] = {}
    for outcome in run.outcomes:
        found.setdefault(outcome.index, outcome.prediction)
    return list(found.values())


@pytest.mark.parametrize(
    "policy", ["Change(threshold=4)", "Interval(every=3)", "All", "BlockCopy", "Uncertainty"]
)
def test_gives_what_a_pipeline_gives(model, engine, policy):
    job = work(model, street(25), policy, restart_after=None)
    run = Run(job, Here(job, engine))
    found = run.finish()
    assert run.error is None
    expected = list(Pipeline(model.load(), load_policy(policy)).run(job.source))
    assert len(found) == len(expected) == 25
    assert all(same(o.prediction, e) for o, e in zip(found, expected, strict=True))
    assert engine.streams == ()


def test_computes_whole_often_enough_to_be_taken_up_again(model, engine):
    job = work(model, street(60), restart_after=3.0)
    run = Run(job, Here(job, engine))
    spent = 0.0
    for outcome in run.finish():
        share = outcome.prediction.share
        spent = 0.0 if share == 1 else spent + share
        assert spent < 3.0 + 1.0
    assert sum(o.prediction.density == 1 for o in run.outcomes) > 2


@settings(deadline=None, max_examples=5)
@given(
    lost=st.sets(st.integers(0, 60), max_size=4), policy=st.sampled_from(["Change", "BlockCopy"])
)
def test_a_lost_engine_changes_nothing(model, engine, lost, policy):
    job = work(model, street(30), policy, restart_after=2.0)
    quiet, broken = Run(job, Here(job, engine)), Run(job, Here(job, engine, lost.__contains__))
    expected = [outcome.prediction for outcome in quiet.finish()]
    broken.finish()
    assert broken.error is None
    found = kept(broken)
    assert [p.index for p in found] == list(range(30))
    assert all(same(f, e) for f, e in zip(found, expected, strict=True))


def test_a_decoder_that_is_replaced_goes_on_from_the_checkpoint(model, engine, monkeypatch):
    monkeypatch.setattr("streamdyn.cluster.course.CHECKPOINT_SECONDS", 0.0)
    job = work(model, street(40), restart_after=2.0)
    first = Run(job, Here(job, engine))
    expected = first.finish()
    points = [report.checkpoint for report in first.reports if report.checkpoint]
    assert points
    second = Run(job, Here(job, engine), points[-1])
    again = second.finish()
    begin = points[-1].after.index + 1
    assert [o.index for o in again] == list(range(begin, 40))
    pairs = zip(again, expected[begin:], strict=True)
    assert all(same(a.prediction, b.prediction) for a, b in pairs)


def test_a_recording_moves_where_nothing_depends_on_the_old_engine(model, engine):
    job = work(model, street(40), restart_after=2.0)
    expected = Run(job, Here(job, engine)).finish()
    other = Engine()
    connection = Here(job, engine)
    run = Run(job, connection)
    connection.next = None
    move_at = 5

    def breaks(count: int) -> bool:
        if count == move_at:
            connection.next = other
        return False

    connection.breaks = breaks
    found = run.finish()
    assert connection.engine is other
    assert len(found) == 40
    pairs = zip(found, expected, strict=True)
    assert all(same(a.prediction, b.prediction) for a, b in pairs)
    assert engine.streams == other.streams == ()
    other.shutdown()


class Failing(Policy):
    """Cannot be pickled."""

    def __init__(self) -> None:
        self.held = lambda: None

    def decide(self, frame, state):
        return state.grid.none()


def test_a_policy_that_cannot_travel_costs_a_start_from_the_beginning(model, engine):
    job = work(model, street(12), f"{__file__}:Failing", restart_after=0.5)
    run = Run(job, Here(job, engine, {1}.__contains__))
    run.finish()
    assert run.error is None
    assert [p.index for p in kept(run)] == list(range(12))
