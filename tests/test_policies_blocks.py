"""The policies that choose blocks: what they see, what they bound, what they never forget."""

import math
from itertools import count, pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import (
    BlockGrid,
    BlockMask,
    Classification,
    Detections,
    Frame,
    Pipeline,
    ScorePolicy,
    Segmentation,
    StreamState,
    open_source,
)
from streamdyn.fit import Fit
from streamdyn.policies import (
    AdaptiveChange,
    Age,
    Budget,
    Change,
    First,
    Interval,
    Motion,
    Refresh,
    Uncertainty,
)
from streamdyn.policies.cost import Cost
from streamdyn.policies.light import fit_light
from streamdyn.sources.synthetic.encode import encode
from streamdyn.testing import StillModel, results
from streamdyn.types import MotionVectors

SIZE = (96, 160)  # (height, width): 3 x 5 blocks of 32 pixels
GRID = BlockGrid(*SIZE, 32)
RESULT = results(SIZE)[0]


class Luma:
    """Pixels of a grey picture, with vectors or without."""

    def __init__(self, luma, motion=None):
        self._luma, self._motion = np.clip(luma, 0, 255).astype(np.uint8), motion

    def luma(self):
        return self._luma

    def image(self):
        return np.stack([self._luma] * 3, axis=-1)

    def motion(self):
        return self._motion


def frame_of(luma, index=0, motion=None, pts_seconds=None):
    seconds = index / 25 if pts_seconds is None else pts_seconds
    pixels = Luma(luma, motion)
    return Frame(pixels, index=index, pts_seconds=seconds, size=luma.shape, stream="test")


def predictions(policy, lumas, model=None):
    stream = (frame_of(luma, index) for index, luma in enumerate(lumas))
    return list(Pipeline(model or StillModel(), policy).run(stream))


def street(seed=0):
    """A still picture with edges and textures, of 40 to 200 grey levels."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (9, 15)).astype(np.float32)
    return cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_NEAREST)


def noisy(still, deviation, seed=0):
    rng = np.random.default_rng(seed)
    for _ in count():
        yield still + rng.normal(0, deviation, still.shape)


# Age and Refresh


@st.composite
def computed_by_others(draw):
    """Masks that some other policy asks for, frame by frame."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    density = draw(st.sampled_from([0.0, 0.1, 0.6]))
    return lambda shape: rng.random(shape) < density


@given(
    st.floats(0.01, 1),
    st.integers(1, 200),
    st.integers(1, 200),
    computed_by_others(),
)
def test_age_computes_every_block_in_time_and_no_more_than_its_share(share, height, width, others):
    grid = BlockGrid(height, width, 32)
    first = frame_of(np.zeros((height, width)))
    state, policy, done = StreamState.start(grid, first, RESULT), Age(share), 0
    bound = math.ceil(1 / share)
    for index in range(1, 2 * bound + 1):
        mask = policy.decide(frame_of(np.zeros((height, width)), index), state)
        done += np.count_nonzero(mask.active)
        assert done <= index * share * mask.active.size + 1e-6
        both = mask | BlockMask(grid, others(grid.shape))
        state.advance(first, both, RESULT)
        assert state.age.max() <= bound


@given(st.floats(0, 3), st.lists(st.floats(0.01, 1), min_size=1, max_size=30), computed_by_others())
def test_refresh_lets_nothing_grow_older_than_its_bound(bound, steps, others):
    state = StreamState.start(GRID, frame_of(np.zeros(SIZE)), RESULT)
    for index, seconds in enumerate(np.cumsum(steps), start=1):
        frame = frame_of(np.zeros(SIZE), index, pts_seconds=float(seconds))
        mask = Refresh(bound).decide(frame, state)
        older = state.computed_at < frame.pts_seconds - bound
        assert not (mask.active & ~older & (state.computed_at > seconds - bound)).any()
        state.advance(frame, mask | BlockMask(GRID, others(GRID.shape)), RESULT)
        assert (frame.pts_seconds - state.computed_at <= bound).all()


def test_refresh_spares_what_another_policy_computed():
    frames = [np.zeros(SIZE) for _ in range(60)]
    alone = predictions(Refresh(seconds=1), frames)
    assert [p.index for p in alone if p.density] == [0, 26, 52]
    aged = predictions(Refresh(seconds=1) | Age(share=0.05), frames)
    assert max(p.density for p in aged[1:]) < 0.1


# Budget


class Scored(ScorePolicy):
    """Scores that a test gives."""

    def __init__(self, scores, threshold=1.0, grow=0):
        super().__init__(threshold, grow)
        self.given = np.asarray(scores, np.float32)

    def scores(self, frame, state):
        return self.given


def state_of(grid=GRID, result=RESULT, size=SIZE):
    return StreamState.start(grid, frame_of(np.zeros(size)), result)


def test_budget_takes_the_best():
    scores = np.arange(15).reshape(3, 5)
    mask = Budget(Scored(scores), density=0.2).decide(frame_of(np.zeros(SIZE), 1), state_of())
    np.testing.assert_array_equal(mask.active, scores >= 12)


@given(st.integers(0, 99), st.integers(0, 2), st.floats(0, 1))
def test_a_budget_for_all_is_the_policy_itself(seed, grow, threshold):
    scores = Scored(np.random.default_rng(seed).random((3, 5)), threshold, grow)
    frame = frame_of(np.zeros(SIZE), 1)
    np.testing.assert_array_equal(
        Budget(scores, density=1).decide(frame, state_of()).active,
        scores.decide(frame, state_of()).active,
    )


@given(st.integers(0, 99), st.floats(0.02, 1), st.sampled_from([0.0, 1.0]))
def test_budget_starves_no_block_that_stays_due(seed, density, threshold):
    grid = BlockGrid(160, 160, 16)
    rng = np.random.default_rng(seed)
    scores = threshold + rng.pareto(0.5, grid.shape) + 1e-3
    scores[0, 0] = np.inf
    policy = Budget(Scored(scores, threshold), density=density)
    state = state_of(grid)
    for index in range(1, 4 * math.ceil(1 / density)):
        mask = policy.decide(frame_of(np.zeros(SIZE), index), state)
        assert 0 < mask.density <= max(density, 1 / scores.size) + 1e-6
        state.advance(frame_of(np.zeros(SIZE), index), mask, RESULT)
        assert state.age.max() <= 2 / density + 3


def test_budget_keeps_to_its_milliseconds():
    """The model takes 2 ms and 50 ms for all blocks: 12 ms are for a fifth of them."""
    grid = BlockGrid(320, 320, 32)
    policy = Budget(Scored(np.full(grid.shape, 2)), milliseconds=12)
    frame, rng = frame_of(np.zeros(SIZE), 1), np.random.default_rng(0)
    state = StreamState.start(grid, frame, RESULT, seconds=0.052)
    densities = []
    for _ in range(40):
        mask = policy.decide(frame, state)
        densities.append(mask.density)
        seconds = (0.002 + 0.05 * mask.density) * rng.normal(1, 0.02)
        state.advance(frame, mask, RESULT, seconds=seconds)
    assert all(0.16 <= density <= 0.24 for density in densities)


def test_a_budget_that_is_too_small_goes_on_block_by_block():
    policy = Budget(Scored(np.full(GRID.shape, 2)), milliseconds=1)
    state = StreamState.start(GRID, frame_of(np.zeros(SIZE)), RESULT, seconds=10.0)
    assert policy.decide(frame_of(np.zeros(SIZE), 1), state).density == 1 / 15


@given(st.floats(0, 1e-2), st.floats(1e-4, 1), st.floats(0, 1))
def test_cost_finds_the_line(fixed, slope, density):
    cost = Cost()
    assert cost.density(1e-9) == 1
    for seen in (1.0, 0.1, 0.4, 0.2):
        cost.add(seen, fixed + slope * seen)
    assert cost.density(fixed + slope * density) == pytest.approx(density, abs=1e-6)


def test_a_budget_stands_for_its_policy():
    budget = Budget("Motion(threshold=3)", density=0.5)
    assert (budget.threshold, budget.reads_motion) == (3, True)
    budget.threshold = 5
    assert budget.policy.threshold == 5
    with pytest.raises(ValueError, match="need a threshold"):
        budget.threshold = None


# Uncertainty


def uncertainty_of(result, size=SIZE, grid=GRID):
    return Uncertainty().scores(frame_of(np.zeros(size), 1), state_of(grid, result, size))


def test_uncertainty_of_a_segmentation_is_the_entropy_of_its_classes():
    logits = np.zeros((4, 3, 5), np.float32)
    logits[0, :, 1:] = 100  # sure
    logits[1, :, 2] = 100  # torn between two of four: half the bits
    labels = np.zeros(SIZE, np.uint8)
    scores = uncertainty_of(Segmentation(labels, tuple("abcd"), logits))
    np.testing.assert_allclose(scores, [[1, 0, 0.5, 0, 0]] * 3, atol=1e-6)
    assert (uncertainty_of(Segmentation(labels, tuple("abcd"))) == 1).all()


def test_uncertainty_of_detections_lies_on_their_boxes():
    boxes = np.array([[0, 0, 32, 32], [0, 40, 70, 60], [150, 90, 160, 96]], np.float32)
    found = Detections(
        boxes, np.array([0.5, 0.75, 1.0], np.float32), np.zeros(3, np.int64), ("a",) * 3
    )
    expected = [[1, 0, 0, 0, 0], [0.5, 0.5, 0.5, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_allclose(uncertainty_of(found), expected)


@pytest.mark.parametrize(("bottom", "row"), [(50, [1] * 5), (40, [0] * 5)])
def test_uncertainty_lies_on_the_part_of_a_picture_that_is_not_cut_off(bottom, row):
    grid = Fit.make("crop", (192, 160), (96, 160)).grid(32)  # 48 pixels each, above and below
    box, score = np.array([[0, 0, 160, bottom]], np.float32), np.full(1, 0.5, np.float32)
    found = Detections(box, score, np.zeros(1, np.int64), ("a",))
    scores = uncertainty_of(found, (192, 160), grid)
    np.testing.assert_array_equal(scores, [row, [0] * 5, [0] * 5])


def test_uncertainty_of_a_recognition_is_the_same_everywhere():
    sure = Classification(np.arange(2), np.array([0.9, 0.1], np.float32), ("a", "b"))
    np.testing.assert_allclose(uncertainty_of(sure), np.full((3, 5), 0.1), rtol=1e-5)


def test_uncertainty_follows_the_result():
    policy = Uncertainty(threshold=0.5)
    unsure, sure = (
        Classification(np.arange(1), np.array([score], np.float32), ("a",)) for score in (0.3, 0.9)
    )
    state = state_of(result=unsure)
    frame = frame_of(np.zeros(SIZE), 1)
    assert policy.decide(frame, state).density == 1
    state.advance(frame, GRID.all(), sure)
    assert policy.decide(frame, state).density == 0


# Motion


def vectors(*moves):
    """Vectors on all 16 x 16 blocks of the picture: 0 but for `moves`, each (x, y, dx, dy)."""
    y, x = (axis.ravel() * 16 for axis in np.indices((SIZE[0] // 16, SIZE[1] // 16)))
    shifts = np.zeros((len(x), 2), np.float32)
    for at_x, at_y, *shift in moves:
        shifts[(x == at_x) & (y == at_y)] = shift
    return MotionVectors(np.stack([x, y, x + 16, y + 16], axis=1).astype(np.int32), shifts)


def moved(policy, *motions, luma=None):
    luma = np.zeros(SIZE) if luma is None else luma
    stream = [frame_of(luma, index, motion) for index, motion in enumerate((None, *motions))]
    return [p.mask.active for p in Pipeline(StillModel(), policy).run(stream)][1:]


def test_motion_adds_up_until_it_is_computed():
    step = vectors((64, 32, 0.3, -0.4))  # half a pixel, in the block of row 1 and column 2
    masks = moved(Motion(threshold=1.2), *[step] * 7)
    assert [mask.sum() for mask in masks] == [0, 0, 1, 0, 0, 1, 0]
    assert masks[2][1, 2]


def test_motion_is_that_of_the_longest_vector():
    masks = moved(Motion(threshold=4), vectors((0, 0, 0, 3), (16, 16, 3, 4), (96, 64, 2, 2)))
    np.testing.assert_array_equal(np.argwhere(masks[0]), [[0, 0]])


def test_what_was_coded_anew_is_compared_by_its_brightness():
    all_but_two = vectors()
    kept = (all_but_two.boxes[:, 0] != 64) | (all_but_two.boxes[:, 1] > 16)
    some = MotionVectors(all_but_two.boxes[kept], all_but_two.shifts[kept])
    dark, bright = np.zeros(SIZE), np.full(SIZE, 50.0)  # only what has no vectors is looked at
    stream = [frame_of(dark), frame_of(bright, 1, all_but_two), frame_of(bright, 2, some)]
    masks = [p.mask.active for p in Pipeline(StillModel(), Motion()).run(stream)]
    assert not masks[1].any()
    np.testing.assert_array_equal(np.argwhere(masks[2]), [[0, 2]])


def test_without_vectors_motion_is_change():
    lumas = [street(seed) * 0.1 + street() for seed in range(12)]
    for a, b in zip(
        predictions(Motion(threshold=1, levels=6), lumas),
        predictions(Change(threshold=6), lumas),
        strict=True,
    ):
        np.testing.assert_array_equal(a.mask.active, b.mask.active)


def test_motion_of_a_real_clip_is_where_change_is(media):
    """Of what changes much in a real clip, hardly anything escapes its vectors."""
    motion, seen, changed = Motion(grow=1), 0, 0
    frames = list(open_source(media / "car-detection.mp4", motion=True, start=3, max_frames=60))
    grid = Fit.make("stretch", frames[0].size, (448, 768)).grid(32)
    state = StreamState.start(grid, frames[0], RESULT)
    for before, frame in pairwise(frames):
        if before.index:
            state.advance(before, grid.all(), RESULT)
        mask = motion.decide(frame, state).active
        strong = Change(threshold=15).decide(frame, state).active
        seen, changed = seen + (mask & strong).sum(), changed + strong.sum()
    assert changed > 100
    assert seen >= 0.97 * changed


# Change by more than noise and light


def mean_density(policy, lumas):
    return np.mean([p.density for p in predictions(policy, lumas)[1:]])


@pytest.mark.parametrize("deviation", [1, 4, 12])
def test_noise_is_no_change(deviation):
    lumas = [luma for luma, _ in zip(noisy(street(), deviation), range(60), strict=False)]
    assert mean_density(AdaptiveChange(), lumas) < 0.02
    if deviation > 4:
        assert mean_density(Change(), lumas) > 0.9


def test_each_place_has_its_own_noise():
    deviations = np.full(SIZE, 2.0)
    deviations[:32, 96:] = 5.5
    stream = noisy(street(), deviations)
    found = predictions(AdaptiveChange(threshold=4), [next(stream) for _ in range(100)])
    flickers = [p.mask.active[0, 3:].mean() for p in found]
    assert np.mean(flickers[1:6]) > 0.5
    assert np.mean(flickers[50:]) < 0.1


def test_slow_light_is_no_change():
    grey = street()
    lumas = [grey * (1 + 0.1 * np.sin(n / 10)) + 3 * np.cos(n / 15) for n in range(80)]
    assert mean_density(AdaptiveChange(), lumas) < 0.02
    assert mean_density(Change(), lumas) > 0.1


def test_slow_light_is_no_change_where_blocks_were_computed_at_different_times():
    lumas = [street() * (1 + 0.1 * np.sin(n / 10)) for n in range(80)]
    both = predictions(AdaptiveChange() | Age(share=0.1), lumas)
    assert np.mean([p.density for p in both[1:]]) < 0.12


@pytest.mark.parametrize("level", [0.0, 0.15])
def test_lights_that_go_off_and_on_are_key_frames(level):
    still = street()
    still[64:, :32] = 8  # a corner so dark that lamps hardly change it
    lumas = [still * (level if 20 <= n < 40 else 1) for n in range(60)]
    dense = [p.index for p in predictions(AdaptiveChange(), lumas) if p.density == 1]
    assert dense == [0, 20, 40]


def test_a_faint_change_is_found_beneath_noise_and_drift():
    """Far below what `Change` may be set to in such noise."""
    stream = noisy(street(), 6)
    lumas = [next(stream) * (1 + 0.05 * np.sin(n / 20)) for n in range(50)]
    for luma in lumas[40:]:
        luma[40:56, 70:86] += 14
    masks = [p.mask.active for p in predictions(AdaptiveChange(margin=0), lumas)]
    assert masks[40][1, 2]
    assert sum(mask.sum() for mask in masks[1:40]) < 8


@pytest.mark.parametrize("contrast", [9, 55])
def test_what_moves_for_ever_does_not_become_noise(contrast):
    lumas = [street() for _ in range(150)]
    for index, luma in enumerate(lumas):
        left = (34, 50)[index % 2]
        luma[40:52, left : left + 12] += contrast
    masks = [p.mask.active for p in predictions(AdaptiveChange(margin=0), lumas)]
    assert np.mean([mask[1, 1] for mask in masks[1:]]) == 1


def test_a_picture_that_moves_all_over_does_not_become_noise():
    lumas = [street(seed) for seed in range(150)]
    assert all(p.density == 1 for p in predictions(AdaptiveChange(), lumas))


@given(st.integers(0, 99), st.floats(0.5, 1.8), st.floats(-30, 30))
def test_light_is_fitted_past_what_moved(seed, gain, offset):
    rng = np.random.default_rng(seed)
    first = rng.uniform(20, 140, 600).astype(np.float32)
    now = (gain * first + offset).astype(np.float32)
    now[:240] = rng.uniform(0, 255, 240)
    told = fit_light(first, now)
    np.testing.assert_allclose(told[0] * first + told[1], gain * first + offset, atol=1.5)


# What appears where nothing moved before


CHANGE_POLICIES = {
    "Change": (Change, 0),
    "AdaptiveChange": (AdaptiveChange, 0),
    "Motion": (Motion, 0),
    "Budget": (lambda: Budget(density=0.07), 0),
    "First | Refresh": (lambda: First() | Refresh(seconds=1), 26),
    "First | Age": (lambda: First() | Age(share=0.05), 20),
}


@pytest.mark.parametrize(("make", "bound"), CHANGE_POLICIES.values(), ids=CHANGE_POLICIES)
@given(row=st.integers(0, 2), col=st.integers(0, 4), at=st.integers(1, 60), bright=st.booleans())
def test_a_planted_object_is_computed_in_time(make, bound, row, col, at, bright):
    stream = noisy(street(), 1)
    lumas = [next(stream) for _ in range(at + bound + 1)]
    for luma in lumas[at:]:
        y, x = row * 32 + 10, col * 32 + 10
        luma[y : y + 12, x : x + 12] += 50 if bright else -50
    masks = [p.mask.active[row, col] for p in predictions(make(), lumas)]
    assert any(masks[at:])


class Planted:
    """A noisy street in which a square appears and stays."""

    size, fps, at = SIZE, 25.0, 30

    def __len__(self):
        return self.at + 2

    def render(self, index):
        luma = next(noisy(street(), 1, seed=index))
        if index >= self.at:
            luma[42:58, 74:90] = 255
        return SimpleNamespace(image=Luma(luma).image())


def test_motion_sees_a_planted_object_in_a_coded_clip(tmp_path):
    encode(Planted(), tmp_path / "planted.mp4")
    source = open_source(tmp_path / "planted.mp4", motion=True)
    masks = [p.mask.active for p in Pipeline(StillModel(), Motion()).run(source)]
    assert masks[Planted.at][1, 2]
    assert np.mean([mask.mean() for mask in masks[1 : Planted.at]]) < 0.2


# Bad input


def test_a_score_that_is_no_number_costs_a_full_computation():
    for policy in (Scored(np.full((3, 5), np.nan)), Budget(Scored(np.full((3, 5), np.nan)))):
        last = predictions(policy, [np.zeros(SIZE)] * 2)[-1]
        assert last.density == 1
        assert "NaN" in last.fault


@pytest.mark.parametrize(
    "make",
    [
        lambda: Age(0),
        lambda: Age(1.1),
        lambda: Refresh(-1),
        lambda: Refresh(float("nan")),
        lambda: Motion(-1),
        lambda: Motion(levels=0),
        lambda: Budget(density=0),
        lambda: Budget(milliseconds=0),
        lambda: Budget(Interval()),
        lambda: Budget("Interval"),
        lambda: Budget("Nothing"),
        lambda: AdaptiveChange(light=0),
        lambda: AdaptiveChange(margin=-1),
        lambda: Uncertainty(decision=1),
    ],
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match=r"must|needs a policy|Nothing"):
        make()
