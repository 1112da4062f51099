"""Two ways to a target: the policy, and frames that are skipped in time."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from streamdyn import Classification, Pipeline, Policy
from streamdyn.policies import Change
from streamdyn.quality import Quality
from streamdyn.quality.skipping import Skipping
from streamdyn.quality.turns import Turns
from tests.quality_kit import Cells, Clock, flicker, reached


def says(label):
    return Classification(np.array([label]), np.ones(1, np.float32), (str(label),))


class Drift:
    """What a frame shows changes with some probability from one frame to the next."""

    def __init__(self, probability, seed=0):
        self.probability, self.draw = probability, np.random.default_rng(seed)
        self.now = 0

    def step(self):
        self.now += self.draw.random() < self.probability
        return self.now


def run(skipping, drift, count):
    """Whether each frame agreed, and whether it was computed."""
    agreed, computed = [], []
    last = drift.step()
    skipping.advance(1.0, lambda: says(0), says(0))
    for _ in range(count):
        true, before = drift.step(), last
        skips = skipping.skips()
        last = before if skips else true
        skipping.advance(0.0 if skips else 1.0, partial(says, before), says(last))
        agreed.append(last == true)
        computed.append(not skips)
    return np.array(agreed), np.array(computed)


class TestSkipping:
    @pytest.mark.parametrize("allowed", [0.1, 0.05, 0.02])
    @pytest.mark.parametrize("probability", [0.01, 0.05, 0.2, 0.5])
    def test_leaves_no_more_than_is_allowed_and_skips_what_it_can(self, allowed, probability):
        found = [run(Skipping(allowed), Drift(probability, s), 1000) for s in range(5)]
        agreed, computed = (np.mean(column) for column in zip(*found, strict=True))
        assert 1 - agreed < allowed + 0.02
        assert computed < 1 - min(allowed / probability, 1) / 4

    def test_skips_most_where_nothing_changes_but_not_for_ever(self):
        agreed, computed = run(Skipping(0.05), Drift(0.0), 300)
        assert agreed.all()
        assert computed.mean() < 0.15
        assert np.diff(np.flatnonzero(computed)).max() <= 12

    def test_pays_back_what_was_lost_when_a_calm_ends(self):
        skipping, drift = Skipping(0.05), Drift(0.0)
        run(skipping, drift, 500)
        drift.probability = 0.3
        agreed, _ = run(skipping, drift, 300)
        assert agreed[:50].mean() > 0.6
        assert agreed[50:].mean() > 0.93

    def test_never_repeats_a_result_of_which_a_part_is_older(self):
        skipping = Skipping(0.5)
        run(skipping, Drift(0.0), 100)
        skipping.advance(0.3, lambda: says(0), says(0))
        assert not skipping.skips()

    @pytest.mark.parametrize("probability", [0.2, 0.5])
    def test_foretells_its_cost(self, probability):
        skipping = Skipping(0.05)
        _, computed = run(skipping, Drift(probability), 2000)
        assert skipping.cost(0.05) == pytest.approx(computed.mean(), rel=0.15)

    def test_costs_more_the_less_may_be_lost(self):
        skipping = Skipping(0.05)
        assert skipping.cost(0) == 1
        assert skipping.cost(0.01) > skipping.cost(0.05) > skipping.cost(0.5) >= 1 / 12


class TestTurns:
    def asked(self, count, asking, skipping):
        """Whether the policy is asked about each frame, at costs that may change."""
        turns, asked = Turns(), []
        for index in range(count):
            asked.append(turns.asking)
            turns.advance(asking(index), skipping(index))
        return np.array(asked)

    def test_the_cheaper_has_nearly_all_turns_in_the_end(self):
        assert self.asked(5000, lambda _: 0.2, lambda _: 0.5)[1000:].mean() > 0.97
        assert self.asked(5000, lambda _: 0.8, lambda _: 0.5)[1000:].mean() < 0.07

    def test_a_policy_that_has_become_dear_is_left_at_once(self):
        asked = self.asked(1000, lambda n: 0.2 if n < 500 else 0.9, lambda _: 0.5)
        assert asked[400:500].all()
        assert not asked[502:550].any()

    def test_one_that_has_become_cheap_is_found_again(self):
        asked = self.asked(4000, lambda n: 0.9 if n < 1000 else 0.2, lambda _: 0.5)
        assert asked[3000:].mean() > 0.9


class Late(Policy):
    """Asks for all blocks but one, after some thought."""

    threshold = 1.0

    def __init__(self, clock):
        self.clock = clock

    def decide(self, frame, state):
        self.clock.now += 2e-3
        mask = state.grid.all()
        mask.active[0, 0] = False
        return mask


def hold(make, target, count=500):
    """The mean agreement and time over all frames, as shares of the dense model's."""
    clock = Clock()
    model = Cells(clock, block_seconds=1e-3)
    pictures = list(flicker(count))
    pipeline = Pipeline(model, make(clock), quality=Quality(target=target), clock=clock)
    predictions = list(pipeline.run(pictures))
    return reached(predictions, pictures).mean(), clock.now / count / 15e-3


class TestPipeline:
    @pytest.mark.parametrize("target", [0.80, 0.90, 0.95, 0.98])
    @pytest.mark.parametrize("make", [Late, lambda _: Change(threshold=6)])
    def test_reaches_its_target_for_less_than_dense(self, make, target):
        agreed, cost = hold(make, target)
        assert agreed > target - 0.02
        assert cost < 1.0

    def test_skips_in_time_where_a_policy_does_not_pay(self):
        _, cost = hold(Late, 0.8)
        assert cost < 0.9

    def test_keeps_to_a_policy_that_pays(self):
        _, cost = hold(lambda _: Change(threshold=6), 0.8)
        assert cost < 0.6
