"""The contract that every policy keeps, and what each of ours promises besides."""

import inspect
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

import streamdyn.policies
from streamdyn import BlockMask, Frame, Pipeline, Policy, ScorePolicy, StreamState
from streamdyn.policies import All, Change, First, Interval, Random
from streamdyn.testing import CHECKS, PolicyContract, StillModel, check_policy, frames


def needs_nothing(make: type[Policy]) -> bool:
    """Whether a policy can be made without arguments; Replay needs results."""
    parameters = inspect.signature(make).parameters.values()
    return all(parameter.default is not parameter.empty for parameter in parameters)


SHIPPED = [getattr(streamdyn.policies, name) for name in streamdyn.policies.__all__]
POLICIES = [make for make in SHIPPED if needs_nothing(make)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", POLICIES, ids=lambda make: make.__name__)
def test_contract(make, check):
    check(make)


class TestCombination(PolicyContract):
    """The contract holds for combined policies as well."""

    def make(self) -> Policy:
        return Interval(every=3) & (Change() | Random(density=0.1))


def densities(policy: Policy, stream: Iterator[Frame]) -> list[float]:
    return [p.density for p in Pipeline(StillModel(), policy).run(stream)]


def test_all_and_first():
    assert densities(All(), frames(4)) == [1, 1, 1, 1]
    assert densities(First(), frames(4)) == [1, 0, 0, 0]


@pytest.mark.parametrize("every", [1, 2, 5])
def test_interval_computes_every_nth_frame(every):
    expected = [float(n % every == 0) for n in range(12)]
    assert densities(Interval(every=every), frames(12)) == expected


def test_a_skip_by_either_skips_the_frame():
    both = densities(Change() & Interval(every=3), frames(12))
    assert both[1:3] == both[4:6] == [0, 0]
    assert both[3] > 0  # what two skipped frames left undone
    assert densities(Change() | Interval(every=3), frames(12))[3::3] == [1] * 3


def test_a_combination_scales_the_thresholds_of_its_parts_alike():
    first, second = Change(threshold=4), Change(threshold=6)
    both = Interval(every=9) | (first & second)
    assert both.threshold == 4
    both.threshold = 2
    assert (first.threshold, second.threshold) == (2, 3)
    neither = First() | Interval()
    assert neither.threshold is None
    with pytest.raises(ValueError, match="cannot scale"):
        neither.threshold = 2


def test_random_reaches_its_density():
    blocks = densities(Random(density=0.3, seed=1), frames(200))[1:]
    assert np.mean(blocks) == pytest.approx(0.3, abs=0.03)
    assert densities(Random(seed=1), frames(9)) != densities(Random(seed=2), frames(9))


def test_change_sees_motion_and_rest():
    masks = [p.mask.active for p in Pipeline(StillModel(), Change()).run(frames(12))]
    assert [bool(m.any()) for m in masks[4:7]] == [False] * 3  # the square stands still
    assert masks[2][0].any()  # it moves along the top
    assert not masks[2][1:].any()


def test_change_grows():
    masks = zip(
        Pipeline(StillModel(), Change()).run(frames(6)),
        Pipeline(StillModel(), Change(grow=1)).run(frames(6)),
        strict=True,
    )
    for plain, grown in masks:
        np.testing.assert_array_equal(grown.mask.active, plain.mask.grow(1).active)


@pytest.mark.parametrize(("threshold", "last_step"), [(0, 1), (4, 5), (10, 11)])
def test_change_never_loses_a_slow_ramp(threshold, last_step):
    """A change below the threshold per frame adds up until it crosses it."""
    ramp = [
        Frame.from_image(np.full((96, 160, 3), v, np.uint8), index=v, pts_seconds=v / 25)
        for v in range(last_step * 6)
    ]
    computed = [p.index for p in Pipeline(StillModel(), Change(threshold)).run(ramp) if p.density]
    assert computed == list(range(0, last_step * 6, last_step))


@pytest.mark.parametrize(
    "make", [lambda: Interval(0), lambda: Random(1.5), lambda: Change(-1), lambda: Change(grow=-1)]
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must"):
        make()


class WritesReference(Policy):
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        state.reference[:] = 0
        return state.grid.none()


class Remembers(Policy):
    frames = 0

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        self.frames += 1
        return state.grid.all() if self.frames % 7 == 0 else state.grid.none()


class WrongGrid(Policy):
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return StillModel(block=8).grid(frame.size).all()


class NoMask(Policy):
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return state.grid.all().active


class Raises(Policy):
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        raise RuntimeError("no luck")


class Backwards(ScorePolicy):
    def __init__(self) -> None:
        super().__init__(threshold=0.5, grow=0)

    def scores(self, frame: Frame, state: StreamState) -> NDArray[np.float32]:
        return np.full(state.grid.shape, 2 * self.threshold - 0.5, np.float32)


@pytest.mark.parametrize(
    ("make", "failure"),
    [
        (WritesReference, "assignment destination is read-only"),
        (Remembers, "was decided differently"),
        (WrongGrid, "returned a mask of"),
        (NoMask, "not a BlockMask"),
        (Raises, "no luck"),
        (Backwards, "with a threshold of 500 it computes 165 blocks, with 0.0005 only 0"),
    ],
)
def test_the_contract_catches_what_breaks_it(make, failure):
    assert any(failure in text for text in check_policy(make))
