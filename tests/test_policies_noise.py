"""AdaptiveChange: noise and slow light are no change, and a faint change is one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.policies import AdaptiveChange, Age, Change
from streamdyn.policies.light import fit_light
from tests.policies_kit import SIZE, noisy, predictions, street

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
