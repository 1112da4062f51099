"""The bandit that chooses between skipping, blocks and all."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamdyn import BlockMask, Frame, Pipeline, Prediction, Segmentation, StreamState
from streamdyn.metrics import agreement
from streamdyn.policies import Change, Interval, Switch
from streamdyn.policies.least_squares import FadingLeastSquares
from streamdyn.policies.switch import _cycle_cost
from streamdyn.policy import Policy
from streamdyn.testing import StillModel

SIZE = (96, 160)
CLASSES = tuple("abcd")


class Painter(StillModel):
    """Says of each block what it shows, as a network would that sees one block at a time.

    Args:
        context: whether it sees the whole picture instead: what it says of any block then depends
            on all of it, so that blocks computed alone leave the others wrong.
    """

    def __init__(self, context: bool = False) -> None:
        super().__init__(block=16)
        self.context = context

    def new_cache(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        return np.zeros(size, np.uint8)

    def __call__(self, frame: Frame, mask: BlockMask, cache: NDArray[np.uint8]) -> Segmentation:
        truth = self.truth(frame)
        where = mask.pixels(*frame.size)
        cache[where] = truth[where]
        return Segmentation(cache.copy(), CLASSES)

    def truth(self, frame: Frame) -> NDArray[np.uint8]:
        labels = frame.luma // 64
        if self.context:
            labels = (labels + int(frame.luma.mean() * 4) % 4) % 4
        return labels.astype(np.uint8)


def pictures(motion: list[str], seed: int = 0) -> Iterator[Frame]:
    """One frame for each word: "still", "object" (a square moves) or "pan" (everything does)."""
    draw = np.random.default_rng(seed)
    background = (
        draw.integers(0, 256, (SIZE[0] // 8, 4000 // 8), np.uint8).repeat(8, 0).repeat(8, 1)
    )
    left = place = 0
    for index, moves in enumerate(motion):
        left += 6 * (moves == "pan")
        place += 5 * (moves == "object")
        picture = background[:, left % 3800 : left % 3800 + SIZE[1]].copy()
        picture[32:56, place % 130 : place % 130 + 24] = 255
        image = np.repeat(picture[..., None], 3, 2)
        yield Frame.from_image(image, index=index, pts_seconds=index / 25)


def run(policy: Policy, motion: list[str], model: Painter | None = None) -> list[Prediction]:
    predictions = list(Pipeline(model or Painter(), policy).run(pictures(motion)))
    assert not any(prediction.fault for prediction in predictions)
    return predictions


def score(predictions: list[Prediction], motion: list[str], model: Painter) -> tuple[float, float]:
    """(mean share, mean agreement with computing everything)."""
    agreements = [
        agreement(p.result, Segmentation(model.truth(f), CLASSES))
        for p, f in zip(predictions, pictures(motion), strict=True)
    ]
    return float(np.mean([p.share for p in predictions])), float(np.mean(agreements))


def test_nothing_moves():
    predictions = run(Switch(), ["still"] * 300)
    assert np.mean([p.share for p in predictions[100:]]) < 0.05


def test_it_reuses_blocks_where_little_moves():
    motion = ["object"] * 200
    predictions = run(Switch(threshold=0.2), motion)
    kinds = [0 < p.density < 1 for p in predictions if p.status == "computed"]
    assert np.mean(kinds) > 0.8
    share, agreed = score(predictions, motion, Painter())
    assert share < 0.25
    interval = score(run(Interval(every=4), motion), motion, Painter())
    assert agreed > interval[1]


def test_it_skips_frames_where_most_of_the_picture_moves():
    motion = ["pan"] * 200
    predictions = run(Switch(threshold=1.0), motion)
    assert {p.density for p in predictions} == {0, 1}
    share, agreed = score(predictions, motion, Painter())
    nearest = round(1 / share)
    by_interval = score(run(Interval(every=nearest), motion), motion, Painter())
    assert agreed > by_interval[1] - 0.03
    assert 0.05 < share < 0.7


def test_it_sees_that_blocks_leave_errors():
    """A network that sees the whole picture gains little from single blocks."""
    motion, model = ["object"] * 300, Painter(context=True)
    share, agreed = score(run(Switch(threshold=0.5), motion, model), motion, model)
    by_blocks = score(run(Change(grow=1), motion, model), motion, model)
    by_interval = score(run(Interval(every=2), motion, model), motion, model)
    assert share < by_interval[0]
    assert agreed > by_interval[1] - 0.02 > by_blocks[1]


def test_it_notices_within_seconds_that_the_camera_moves_and_that_it_stands_again():
    motion = ["object"] * 150 + ["pan"] * 150 + ["object"] * 200
    predictions = run(Switch(threshold=0.3), motion)
    partial = np.array([0 < p.density < 1 for p in predictions])
    whole = np.array([p.density == 1 for p in predictions])
    assert partial[50:150].sum() > 2 * whole[50:150].sum()
    assert partial[175:300].sum() == 0  # one second after it began to pan
    assert partial[350:].sum() > 2 * whole[350:].sum()  # two seconds after it stopped


def test_the_threshold_is_the_price_of_computing():
    motion = ["object"] * 100 + ["pan"] * 60 + ["still"] * 40
    scores = [score(run(Switch(t), motion), motion, Painter()) for t in (0.02, 0.2, 2.0)]
    shares, agreements = zip(*scores, strict=True)
    assert shares[0] > shares[1] > shares[2]
    assert agreements[0] > agreements[1] > agreements[2]


def test_dense_masks_are_computed_whole():
    predictions = run(Switch(threshold=0.05, dense=0.3), ["object"] * 60 + ["pan"] * 20)
    assert all(p.density <= 0.3 or p.density == 1 for p in predictions)


def partial_masks(policy: Switch, seconds: Callable[[BlockMask], float]) -> int:
    """How often single blocks are computed, of a model that takes known times."""
    model = Painter()
    first, *frames = pictures(["object"] * 120)
    grid, cache = model.grid(first.size), model.new_cache(first.size)
    state = StreamState.start(grid, first, model(first, grid.all(), cache), 1.0, 1.0)
    count = 0
    for frame in frames:
        mask = policy.decide(frame, state)
        result = model(frame, mask, cache) if mask else state.result
        if mask:
            policy.observe(mask, state.result, result)
        state.advance(frame, mask, result, mask.density, seconds(mask))
        count += 0 < mask.density < 1
    return count


def test_costs_may_be_measured_in_seconds():
    """Where blocks take as long as all, all are computed; where they take their share, they are."""
    in_shares = partial_masks(Switch(), lambda mask: 1.0)
    slow = partial_masks(Switch(cost="seconds"), lambda mask: 1.0)
    fair = partial_masks(Switch(cost="seconds"), lambda mask: mask.density)
    assert slow < 0.5 * in_shares
    assert fair == in_shares


def test_two_runs_are_the_same():
    motion = ["object"] * 60 + ["pan"] * 30
    first, second = ([p.density for p in run(Switch(), motion)] for _ in range(2))
    assert first == second


@given(st.integers(1, 20))
def test_nothing_waits_longer_than_its_bound(most):
    predictions = run(Switch(threshold=9.0, most=most), ["still"] * 50)
    assert max(p.age_frames for p in predictions) < most


@pytest.mark.parametrize(
    "make",
    [
        lambda: Switch(threshold=0),
        lambda: Switch(dense=1.5),
        lambda: Switch(most=0),
        lambda: Switch(cost="joules"),
        lambda: Switch(blocks="Interval(every=3)"),
        lambda: Switch(blocks=Change(threshold=0)),
    ],
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must"):
        make()


@given(st.floats(0.001, 1), st.floats(0.001, 10))
def test_the_cycle_is_the_best_of_all(growth, price):
    """Against trying every number of frames, with the disagreement of each summed up."""
    frames = np.arange(64) ** 0.6 * growth
    tried = [(frames[:n].sum() + price) / n for n in range(1, 65)]
    assert _cycle_cost(growth, price, 64) == pytest.approx(min(tried), rel=0.1)


@given(st.floats(0, 2), st.floats(0, 2), st.integers(0, 9))
def test_the_fit_finds_the_weights_and_follows_when_they_change(first, second, seed):
    draw = np.random.default_rng(seed)
    fit = FadingLeastSquares((0.5, 0.5), keep=0.9)
    for weights in ((first, second), (second, first)):
        for features in draw.random((120, 2)):
            fit.add(features, float(features @ weights))
        np.testing.assert_allclose(fit.weights, weights, atol=0.1)


@given(st.lists(st.tuples(*[st.floats(-1, 1)] * 3), max_size=40))
def test_no_weight_is_ever_negative_or_lost(observations):
    fit = FadingLeastSquares((0.1, 0.1), keep=0.9)
    for a, b, value in observations:
        fit.add(np.abs([a, b]), value)
        assert np.isfinite(fit.weights).all()
        assert (fit.weights >= 0).all()
