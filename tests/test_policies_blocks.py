"""Policies that choose blocks, all alike: what moves is seen in time, and mistakes are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tests.policies_kit import SIZE, Scored, noisy, predictions, street

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
