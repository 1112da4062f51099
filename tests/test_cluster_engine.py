"""An engine: what waits is computed together, and who fails harms nobody else."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future
from pathlib import Path
from threading import Event, Thread
from time import sleep

import numpy as np
import pytest

from streamdyn.cluster.engine import TOGETHER, Engine
from streamdyn.cluster.messages import Answer, EngineLostError, Job
from streamdyn.errors import ModelError, StreamdynError
from streamdyn.models.cut import Pieces
from streamdyn.models.vision import VisionModel
from streamdyn.specs import ModelSpec
from tests.cluster_kit import small_model

SIZE = (32, 48)
POISON = 13  # a picture of this grey breaks the model


class Watched:
    """A model whose calls can be held up and are written down."""

    def __init__(self, model: VisionModel) -> None:
        self.model = model
        self.calls: list[int] = []  # how many pictures each had
        self.go = Event()
        self.go.set()
        self.called = Event()
        self.error: BaseException = ModelError("the model fails")

    def __getattr__(self, name: str) -> object:
        return getattr(self.model, name)

    def run_many(self, jobs):
        self.called.set()
        self.go.wait(30)
        self.calls.append(len(jobs))
        if any((pieces.pixels == POISON).all() for pieces, _, _ in jobs):
            raise self.error
        return self.model.run_many(jobs)


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> ModelSpec:
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def model(spec) -> VisionModel:
    return spec.load()


@pytest.fixture
def watched(model) -> Watched:
    return Watched(model)


@pytest.fixture
def engine(watched) -> Generator[Engine]:
    engine = Engine(lambda spec: watched)
    yield engine
    watched.go.set()
    engine.shutdown()


@pytest.fixture
def submit(engine, spec, model) -> Callable[..., Future[Answer]]:
    def submit(stream: str, grey: int = 100, *, audit: bool = False, opened: bool = True):
        if opened and stream not in engine.streams:
            engine.open(stream, spec, SIZE)
        mask = model.intake(SIZE).grid.all()
        pixels = np.full((1, *SIZE, 3), grey, np.uint8)
        return engine.submit(stream, Job(Pieces(np.zeros((1, 2), np.intp), pixels), mask, audit))

    return submit


def together(watched: Watched, submit, asked: list[dict]) -> list[Future[Answer]]:
    """Submit these while the engine is at another picture."""
    watched.go.clear()
    watched.called.clear()
    first = submit("first")
    assert watched.called.wait(30)
    answers = [submit(**values) for values in asked]
    watched.go.set()
    first.result(30)
    return answers


def test_what_waits_is_computed_together(watched, submit):
    answers = together(watched, submit, [{"stream": f"s{n}", "grey": 20 * n} for n in range(5)])
    found = [answer.result(30) for answer in answers]
    assert watched.calls == [1, 5]
    assert all(answer.share == 1 and answer.seconds > 0 for answer in found)
    assert all(answer.held_seconds >= answer.seconds for answer in found)
    alone = [submit(f"alone{n}", 20 * n).result(30) for n in range(5)]
    for one, other in zip(found, alone, strict=True):
        assert np.array_equal(one.result.labels, other.result.labels)


def test_more_than_fits_into_a_call_waits_for_the_next(watched, submit):
    answers = together(watched, submit, [{"stream": f"s{n}"} for n in range(TOGETHER + 3)])
    for answer in answers:
        answer.result(30)
    assert watched.calls == [1, TOGETHER, 3]


def test_audits_come_last_and_alone_and_leave_no_trace(watched, submit):
    submit("cam", 40).result(30)
    watched.calls.clear()
    asked = [
        {"stream": "cam", "grey": 200, "audit": True},
        {"stream": "a"},
        {"stream": "b"},
    ]
    audit, *others = together(watched, submit, asked)
    for answer in others:
        answer.result(30)
    audit.result(30)
    assert watched.calls == [1, 2, 1]


def test_a_failing_stream_harms_only_itself(watched, submit, engine):
    asked = [{"stream": "good"}, {"stream": "bad", "grey": POISON}, {"stream": "fine"}]
    for answer in together(watched, submit, asked):  # nobody knows yet who is to blame
        with pytest.raises(EngineLostError, match="3 streams"):
            answer.result(30)
    assert engine.streams == ("first",)
    watched.calls.clear()
    good, bad, fine = together(watched, submit, asked)
    assert good.result(30).share == fine.result(30).share == 1
    with pytest.raises(ModelError, match="the model fails"):
        bad.result(30)
    assert watched.calls == [1, 1, 1, 1]
    assert set(engine.streams) == {"first", "good", "fine"}
    watched.calls.clear()
    for answer in together(watched, submit, [asked[0], asked[2]]):  # trusted again
        answer.result(30)
    assert watched.calls == [1, 2]


@pytest.mark.parametrize("error", [RuntimeError("odd"), MemoryError("none left"), SystemExit(3)])
def test_no_error_of_a_model_ends_the_engine(watched, submit, error):
    watched.error = error
    with pytest.raises(StreamdynError, match=type(error).__name__):
        submit("bad", POISON).result(30)
    assert submit("good").result(30).share == 1


def test_knows_only_streams_that_were_opened(engine, submit):
    with pytest.raises(EngineLostError, match="nobody"):
        submit("nobody", opened=False).result(30)
    submit("cam").result(30)
    engine.close("cam")
    engine.close("cam")
    assert engine.streams == ()
    with pytest.raises(EngineLostError, match="cam"):
        submit("cam", opened=False).result(30)


def test_a_stream_that_is_closed_while_it_waits_gets_its_answer(watched, engine, submit):
    watched.go.clear()
    answer = submit("cam")
    engine.close("cam")
    watched.go.set()
    assert answer.result(30).share == 1


def test_says_how_busy_it_is(watched, engine, submit):
    assert engine.busy_seconds == engine.call_seconds == 0.0
    watched.go.clear()
    answer = submit("cam")
    while engine.call_seconds < 0.05:
        assert not answer.done()
    assert engine.busy_seconds >= 0.05
    watched.go.set()
    answer.result(30)


def test_shutdown_computes_what_waits(watched, spec, model):
    engine = Engine(lambda spec: watched)
    engine.open("cam", spec, SIZE)
    mask = model.intake(SIZE).grid.all()
    job = Job(Pieces(np.zeros((1, 2), np.intp), np.zeros((1, *SIZE, 3), np.uint8)), mask)
    answers = [engine.submit("cam", job)]
    engine.shutdown()
    assert answers[0].result(0).share == 1
    with pytest.raises(EngineLostError):
        engine.submit("cam", job).result(0)


def test_a_model_is_loaded_once(spec, model):
    loaded = []
    engine = Engine(lambda spec: loaded.append(spec) or model)
    for stream in ("a", "b"):
        engine.open(stream, spec, SIZE)
    engine.shutdown()
    assert loaded == [spec]


def test_a_model_that_is_not_there_is_told(tmp_path: Path):
    engine = Engine()
    with pytest.raises(ModelError, match="nothing"):
        engine.open("cam", ModelSpec(spec=f"{tmp_path}/nothing.py:net"), SIZE)
    engine.shutdown()


def test_a_model_that_loads_for_ever_holds_up_no_other(spec, model):
    go, slow = Event(), ModelSpec(spec="slow")

    def load(asked: ModelSpec) -> VisionModel:
        if asked == slow:
            go.wait(30)
        return model

    engine = Engine(load)
    assert engine.open_seconds == 0.0
    waits = [Thread(target=engine.open, args=(name, slow, SIZE)) for name in ("slow", "slow too")]
    for wait in waits:
        wait.start()
    while engine.open_seconds < 0.05:
        sleep(0.01)
    assert engine.open("quick", spec, SIZE).grid == model.intake(SIZE).grid
    assert engine.streams == ("quick",)
    assert engine.open_seconds >= 0.05
    go.set()
    for wait in waits:
        wait.join(30)
    assert set(engine.streams) == {"quick", "slow", "slow too"}
    assert engine.open_seconds == 0.0
    engine.shutdown()


def test_nobody_waits_for_an_answer_that_was_cancelled(watched, submit, engine):
    watched.go.clear()
    watched.called.clear()
    running = submit("first")
    assert watched.called.wait(30)
    assert not running.cancel()  # too late
    given_up, awaited = submit("gone"), submit("here")
    assert given_up.cancel()
    watched.go.set()
    assert running.result(30).share == awaited.result(30).share == 1
    assert watched.calls == [1, 1]
    assert set(engine.streams) == {"first", "here"}  # what was kept lacks a picture
    assert submit("gone").result(30).share == 1
