"""A stream whose engine is somewhere else: as if it were here, whatever happens to the engine."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdyn import Pipeline, Policy, open_source
from streamdyn.cluster import course
from streamdyn.cluster.decoder import RayConnection
from streamdyn.cluster.engine import Engine
from streamdyn.cluster.feed import MOST_FAILURES
from streamdyn.cluster.messages import Answer, Checkpoint, EngineLostError, Tally, Work
from streamdyn.errors import ModelError
from streamdyn.load import load_policy
from streamdyn.quality import Quality
from streamdyn.sources import Resume
from streamdyn.types import Prediction
from tests.cluster_kit import Here, Run, small_model, street, work


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(model):
    engine = Engine()
    job = work(model, street(2))
    Run(job, Here(job, engine)).finish()  # what loads takes longer than a camera runs
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


def test_a_checkpoint_that_cannot_be_read_costs_a_start_from_the_beginning(model, engine, caplog):
    job = work(model, street(12))
    expected = Run(job, Here(job, engine)).finish()
    run = Run(job, Here(job, engine), Checkpoint(Resume(5, 0.2), b"no pickle", Tally(decoded=6)))
    found = run.finish()
    assert run.error is None
    assert [o.index for o in found] == list(range(12))
    pairs = zip(found, expected, strict=True)
    assert all(same(a.prediction, b.prediction) for a, b in pairs)
    assert run.reports[-1].tally.decoded == 12
    assert "cam: its policy cannot be unpickled" in caplog.text


def test_what_has_a_checkpoint_is_a_recording_though_its_server_is_off(model, engine):
    job = work(model, "http://127.0.0.1:1/recording.mp4")
    run = Run(job, Here(job, engine), Checkpoint(Resume(5, 0.2), b""))
    assert run.finish() == []
    assert not run.feed.live
    assert "127.0.0.1:1" in run.error
    assert [event for report in run.reports for event in report.events] == []


class Faulty(Here):
    """Whose engine fails at some pictures, by their number."""

    def __init__(self, work: Work, engine: Engine, fails: Collection[int], error: Exception):
        super().__init__(work, engine)
        self.fails = fails
        self.error = error

    def compute(self, payload: bytes) -> Answer:
        if self.count in self.fails:
            self.count += 1
            self.engine.close(self.work.name)
            raise self.error
        return super().compute(payload)


FULL = ModelError("out of memory at rtsp://me:hush@camera/")


def camera(model, frames: int = 50, **more) -> Work:
    """A recording that runs like a camera: 25 frames a second, whoever takes them or not."""
    source = open_source(street(frames), name="cam", live=True)
    return replace(work(model, street(frames), "All", reconnects=False, **more), source=source)


def assert_counted(run: Run) -> None:
    """What the source says that it gave is what came to an end."""
    tally = run.reports[-1].tally
    assert tally.emitted == len(run.outcomes)
    assert tally.emitted + tally.dropped == tally.decoded


def test_a_camera_outlives_an_engine_that_fails_now_and_then(model, engine):
    job = camera(model)
    run = Run(job, Faulty(job, engine, {0, 1, 2, 3, 5}, FULL))
    run.finish()
    assert run.error is None
    failed = [outcome.prediction is None for outcome in run.outcomes]
    assert failed[:7] == [True] * 4 + [False, True, False]
    assert sum(failed) == 5
    assert_counted(run)
    events = [event for report in run.reports for event in report.events]
    assert [event.cause for event in events] == [
        *["engine failed"] * 4,
        None,
        "engine failed",
        None,
    ]
    assert "out of memory" in events[0].message
    assert "hush" not in repr(run.reports)
    assert all(o.captured_at is not None for o in run.outcomes)


def test_a_camera_whose_engine_always_fails_ends_with_the_reason(model, engine):
    job = camera(model, 100)
    run = Run(job, Faulty(job, engine, range(100), FULL))
    run.finish()
    assert [o.prediction for o in run.outcomes] == [None] * MOST_FAILURES
    assert_counted(run)
    assert "out of memory" in run.error


def test_a_recording_ends_where_its_engine_fails(model, engine):
    job = work(model, street(20), "All")
    run = Run(job, Faulty(job, engine, {3}, FULL))
    run.finish()
    assert [o.prediction is None for o in run.outcomes] == [False] * 3 + [True]
    assert "out of memory" in run.error
    assert run.reports[-1].tally.emitted == 4


def test_a_camera_keeps_what_was_learnt_of_it_when_its_engine_is_lost(model, engine, monkeypatch):
    made: list[str] = []
    for name in ("Keeper", "load_policy"):
        there = getattr(course, name)
        monkeypatch.setattr(
            course,
            name,
            lambda *values, there=there, name=name: made.append(name) or there(*values),
        )
    job = camera(model, quality=Quality(target=0.9))
    run = Run(job, Here(job, engine, {2, 5}.__contains__))
    run.finish()
    assert run.error is None
    assert_counted(run)
    assert sum(o.prediction is None for o in run.outcomes) == 2
    assert sorted(made) == ["Keeper", "load_policy"]


def test_pictures_that_travel_keep_when_they_were_captured(model, engine):
    job = camera(model, 5, wants_frames=True)
    run = Run(job, Here(job, engine))
    for outcome in run.finish():
        assert outcome.frame.captured_at == outcome.captured_at
        assert outcome.frame.index == outcome.index
        assert outcome.frame.image.shape == (96, 128, 3)


def test_what_breaks_a_stream_is_told_without_passwords(model, engine):
    job = work(model, street(5))
    run = Run(job, Faulty(job, engine, {0}, RuntimeError("odd: rtsp://me:hush@camera/")))
    run.finish()
    assert run.error == "the stream broke: RuntimeError: odd: rtsp://***@camera/"


def test_a_process_that_loaded_code_of_the_user_runs_no_other_stream(model, engine):
    for policy, traces in (("Change", False), (f"Change & {__file__}:Failing", True)):
        job = work(model, street(2), policy)
        run = Run(job, Here(job, engine))
        run.finish()
        assert run.feed.leaves_traces == traces


def test_a_stream_without_a_worker_waits_for_one(model):
    connection = RayConnection(work(model, street(2)), None)
    for call in (lambda: connection.open((96, 128)), lambda: connection.compute(b"")):
        with pytest.raises(EngineLostError, match="no worker"):
            call()
    connection.close()


def test_a_later_checkpoint_that_cannot_be_read_costs_the_same(model, engine, monkeypatch):
    monkeypatch.setattr("streamdyn.cluster.course.CHECKPOINT_SECONDS", 0.0)
    job = work(model, street(30), restart_after=2.0)
    first = Run(job, Here(job, engine))
    expected = first.finish()
    point = next(report.checkpoint for report in first.reports if report.checkpoint)
    reads = iter([course.unpacked, lambda name, state: None])
    monkeypatch.setattr(course, "unpacked", lambda *values: next(reads)(*values))
    run = Run(job, Here(job, engine, {2}.__contains__), point)
    run.finish()
    assert run.error is None
    again = run.outcomes[-30:]
    assert [o.index for o in again] == list(range(30))
    pairs = zip(again, expected, strict=True)
    assert all(same(a.prediction, b.prediction) for a, b in pairs)
