"""What bounds age and cost: Age, Refresh and Budget."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import BlockGrid, BlockMask, StreamState
from streamdyn.policies import Age, Budget, Refresh
from streamdyn.policies.cost import Cost
from tests.policies_kit import GRID, RESULT, SIZE, Scored, frame_of, predictions, state_of

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
    whole = max(int(density * scores.size), 1) / scores.size  # blocks are computed whole
    for index in range(1, 4 * math.ceil(1 / density)):
        mask = policy.decide(frame_of(np.zeros(SIZE), index), state)
        assert 0 < mask.density <= max(density, 1 / scores.size) + 1e-6
        state.advance(frame_of(np.zeros(SIZE), index), mask, RESULT)
        assert state.age.max() <= 2 / whole + 3


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
