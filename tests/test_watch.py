"""Policies that hang: the stream goes on without them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from streamdyn import Pipeline, Policy
from streamdyn.defaults import POLICY_TIMEOUT_SECONDS
from streamdyn.pipeline import POLICY_TIMEOUT_SECONDS as OF_THE_PIPELINE
from streamdyn.policies import All, Change, First, Interval
from streamdyn.testing import StillModel, frames
from streamdyn.watch import FIRST_CALL, HungError, PolicyCalls, Watched

TIMEOUT = 0.02  # seconds


class Hangs(Policy):
    """Does nothing until it is let go, from a frame or in a method."""

    def __init__(self, method: str = "decide", frame: int = 2) -> None:
        self.method, self.frame = method, frame
        self.let_go = threading.Event()
        self.asked: list[int] = []

    def decide(self, frame, state):
        self.asked.append(frame.index)
        if self.method == "decide" and frame.index >= self.frame:
            self.let_go.wait()
        return state.grid.all() if frame.index == 1 else state.grid.none()

    def observe(self, mask, before, after):
        if self.method == "observe":
            self.let_go.wait()

    def reset(self):
        if self.method == "reset":
            self.let_go.wait()


def run(policy: Policy, count: int = 6):
    pipeline = Pipeline(StillModel(), policy, policy_timeout_seconds=TIMEOUT)
    return list(pipeline.run(frames(count)))


@pytest.mark.parametrize(
    ("method", "frame", "where"), [("reset", 0, " in reset"), ("observe", 1, " in observe")]
)
def test_a_method_that_hangs_costs_the_policy_its_stream(method, frame, where):
    policy = Hangs(method)
    predictions = run(policy)
    policy.let_go.set()
    patience = FIRST_CALL * TIMEOUT
    assert [p.index for p in predictions if p.fault] == [frame]
    assert predictions[frame].fault == (
        f"Hangs took longer than {patience:g} s{where} and is given up: "
        "all is computed from here on"
    )
    assert [p.density for p in predictions[frame:]] == [1] * (6 - frame)


def test_a_decision_that_never_comes_is_to_compute_all(caplog):
    policy = Hangs()
    predictions = run(policy)
    policy.let_go.set()
    assert [p.density for p in predictions] == [1, 1, 1, 1, 1, 1]
    assert "took longer than 0.02 s and is given up" in predictions[2].fault
    assert [p.index for p in predictions if p.fault] == [2]
    assert policy.asked == [1, 2]
    assert len(caplog.records) == 1


def test_a_first_call_may_take_longer():
    policy = Hangs(frame=1)
    threading.Timer(3 * TIMEOUT, policy.let_go.set).start()
    assert [p.fault for p in run(policy, 3)] == [None] * 3


def test_another_stream_gets_another_chance():
    policy = Hangs(frame=2)
    pipeline = Pipeline(StillModel(), policy, policy_timeout_seconds=TIMEOUT)
    both = [*frames(4, stream="a"), *frames(2, stream="b")]
    predictions = list(pipeline.run(both))
    policy.let_go.set()
    assert [p.fault is None for p in predictions] == [True, True, False, True, True, True]
    assert policy.asked == [1, 2, 1]


class Threads(Policy):
    """Notes the thread it runs in."""

    def __init__(self):
        self.seen = set()

    def decide(self, frame, state):
        self.seen.add(threading.current_thread())
        return state.grid.none()


class Ours(First):
    """Not ours any more."""


def test_only_policies_of_others_are_watched():
    def watched(policy: Policy) -> bool:
        return PolicyCalls(policy, 1.0)._watched is not None

    assert not watched(Change())
    assert not watched(Change() | Interval(every=5) & All())
    assert watched(Ours())
    assert watched(Change() | (Interval(every=5) & Ours()))


def test_a_stream_leaves_no_thread_behind():
    policy = Threads()
    run(policy)
    assert len(policy.seen) == 1
    (thread,) = policy.seen
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_what_a_call_raises_is_raised():
    watched = Watched("test")
    with pytest.raises(ZeroDivisionError):
        watched(10, lambda: 1 / 0)
    assert watched(10, lambda: 42) == 42
    with pytest.raises(HungError, match=r"took longer than 0.01 s"):
        watched(0.01, lambda: time.sleep(0.1))


def test_a_policy_needs_some_time():
    with pytest.raises(ValueError, match="got 0 s"):
        Pipeline(StillModel(), First(), policy_timeout_seconds=0)


def test_the_interpreter_ends_all_the_same():
    code = """
import threading
from streamdyn import Pipeline, Policy
from streamdyn.testing import StillModel, frames

class Stuck(Policy):
    def decide(self, frame, state):
        threading.Event().wait()

found = Pipeline(StillModel(), Stuck(), policy_timeout_seconds=0.01).run(frames(3))
print([p.density for p in found])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[1.0, 1.0, 1.0]"


def test_the_command_waits_as_long_as_the_library():
    assert POLICY_TIMEOUT_SECONDS == OF_THE_PIPELINE
