"""Quality as a setting: audits, the controller, the guard and the bound on age."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import (
    BlockMask,
    Frame,
    Pipeline,
    Policy,
    PolicyError,
    load_model,
    open_source,
)
from streamdyn.metrics import agreement
from streamdyn.policies import All, Change, First, Interval
from streamdyn.quality import Quality
from streamdyn.quality.control import Controller
from streamdyn.quality.guard import Guard
from streamdyn.quality.schedule import AuditSchedule
from streamdyn.testing import StillModel, frames
from tests.quality_kit import SIDE, SIZE, Cells, Clock, flicker, reached


class TestAuditSchedule:
    @given(st.floats(0.01, 0.3), st.integers(0, 99), st.lists(st.booleans(), max_size=400))
    def test_never_above_its_budget_but_for_the_first(self, share, seed, whole):
        schedule = AuditSchedule(share, seed)
        picked = [schedule.picks(is_whole) for is_whole in whole]
        for count in range(len(whole)):
            assert sum(picked[: count + 1]) <= share * (count + 1) + schedule.EARLY + 1e-6
        assert not any(p and w for p, w in zip(picked, whole, strict=True))

    @pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
    def test_spends_most_of_its_budget(self, share):
        schedule = AuditSchedule(share)
        picked = sum(schedule.picks(False) for _ in range(10_000))
        assert 0.75 * share <= picked / 10_000 <= share

    @pytest.mark.parametrize("seed", range(5))
    def test_ten_seconds_cost_what_they_may(self, seed):
        schedule = AuditSchedule(0.05, seed)
        indexes = [index for index in range(250) if schedule.picks(False)]
        assert 9 <= len(indexes) <= 14
        assert sum(index < 60 for index in indexes) >= 5

    def test_spends_it_where_something_is_to_be_learnt(self):
        schedule = AuditSchedule(0.05)
        picked = sum(schedule.picks(n % 2 == 0) for n in range(10_000))
        assert 0.037 <= picked / 10_000 <= 0.05

    def test_frames_of_any_rhythm_are_picked_alike(self):
        picked = np.zeros(20)
        for seed in range(10):
            schedule = AuditSchedule(0.05, seed)
            for index in range(10_000):
                picked[index % 20] += schedule.picks(False)
        assert picked.min() > 0.7 * picked.mean()
        assert picked.max() < 1.3 * picked.mean()

    def test_no_two_are_close_together(self):
        schedule = AuditSchedule(0.05)
        gaps = [b - a for a, b in pairwise(i for i in range(10_000) if schedule.picks(False))]
        assert min(gaps) >= 2
        assert min(gaps[10:]) >= 12

    def test_does_not_save_up(self):
        schedule = AuditSchedule(0.05)
        for _ in range(10_000):
            schedule.picks(True)
        assert sum(schedule.picks(False) for _ in range(40)) <= schedule.EARLY + 2

    def test_is_seeded(self):
        first, again, other = (AuditSchedule(0.1, seed) for seed in (1, 1, 2))
        a, b, c = ([s.picks(False) for _ in range(300)] for s in (first, again, other))
        assert a == b != c


class Curve:
    """A stream whose disagreement grows with the threshold as a power, with noise."""

    def __init__(self, power, scale, seed, grain):
        self.power, self.scale, self.grain = power, scale, grain
        self.draw = np.random.default_rng(seed)

    def expected(self, threshold):
        return min(self.scale * threshold**self.power, 1.0)

    def agreement(self, threshold):
        """One audit: objects are found or lost by `grain`, 1 for a frame with one object."""
        lost = self.draw.binomial(round(1 / self.grain), self.expected(threshold))
        return 1 - lost * self.grain


class TestController:
    def run(self, curve, target, audits, controller=None):
        """The expected agreement at the thresholds that were set."""
        controller = controller or Controller(First(), 1.0, target)
        means = []
        for _ in range(audits):
            for _ in range(20):
                controller.advance(0.3)
            means.append(1 - curve.expected(controller.threshold))
            controller.learn(curve.agreement(controller.threshold), curve.grain)
        return np.array(means)

    @pytest.mark.parametrize("target", [0.90, 0.95, 0.98])
    @pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
    @pytest.mark.parametrize("grain", [0.25, 0.01])
    def test_comes_to_the_target_or_a_little_above(self, target, power, grain):
        means = [self.run(Curve(power, 0.15, s, grain), target, 150).mean() for s in range(10)]
        assert np.mean(means) == pytest.approx(target, abs=0.02)
        assert min(means) > target - 0.02

    @pytest.mark.parametrize("scale", [0.02, 1.0])
    def test_starts_from_the_careful_side(self, scale):
        means = [self.run(Curve(1.0, scale, s, 0.25), 0.95, 5).mean() for s in range(10)]
        assert np.mean(means) > (0.95 if scale < 1 else 0.7)

    def test_follows_when_the_scene_changes(self):
        controller = Controller(First(), 1.0, 0.95)
        self.run(Curve(1.0, 0.05, 0, 0.1), 0.95, 100, controller)
        calm = controller.threshold
        self.run(Curve(1.0, 0.5, 0, 0.1), 0.95, 30, controller)
        assert controller.threshold < calm / 2
        late = self.run(Curve(1.0, 0.5, 0, 0.1), 0.95, 100, controller)
        assert late.mean() > 0.93

    def test_learns_nothing_where_nothing_happens(self):
        controller = Controller(First(), 1.0, 0.95)
        self.run(Curve(1.0, 0.2, 0, 0.1), 0.95, 50, controller)
        before = controller.threshold
        for _ in range(100):
            for _ in range(20):
                controller.advance(0.0)
            controller.learn(1.0, 0.1)
        assert controller.threshold == before

    def test_stays_within_bounds(self):
        for value, low, high in ((1.0, 1, 8), (0.0, 1e-3, 0.01)):
            controller = Controller(First(), 1.0, 0.95)
            for _ in range(500):
                controller.advance(0.5)
                controller.learn(value, 0.1)
            assert low <= controller.threshold <= high

    def test_leaves_the_end_where_every_frame_is_whole_but_goes_no_further_than_given(self):
        controller = Controller(First(), 1.0, 0.98)
        start = controller.threshold
        for _ in range(1000):
            controller.advance(1.0)
        assert start < 0.5 < controller.threshold < 1.3

    def test_sets_the_threshold_of_the_policy_in_its_own_unit(self):
        policy = Change(threshold=6)
        controller = Controller(policy, 6.0, 0.95)
        assert policy.threshold == pytest.approx(6 * controller.threshold)


class TestGuard:
    def cost(self, guard, densities, seconds_of, policy=0.0, dense=1.0):
        """Mean seconds per frame, where masks of these densities are asked for."""
        spent = 0.0
        for density in densities:
            if not guard.asks():
                guard.note_whole(dense)
                spent += dense
                continue
            done = 1.0 if guard.replaces(density) else density
            model = dense if done == 1 else seconds_of(done)
            guard.note(done, policy, model)
            spent += policy + model
        return spent / len(densities)

    @pytest.mark.parametrize("policy", [0.0, 0.1, 0.5, 3.0])
    @pytest.mark.parametrize("density", [0.2, 0.6, 0.8, 0.95, 1.0])
    @pytest.mark.parametrize("overhead", [1.0, 1.6])
    def test_nothing_costs_more_than_a_tenth_above_dense(self, policy, density, overhead):
        cost = self.cost(Guard(), [density] * 1000, lambda d: overhead * d, policy)
        assert cost <= 1.1

    def test_leaves_alone_what_pays(self):
        cost = self.cost(Guard(), [0.3] * 1000, lambda d: 1.2 * d, policy=0.05)
        assert cost == pytest.approx(0.41, abs=0.01)

    def test_a_storm_costs_little_and_savings_come_back_after_it(self):
        guard = Guard()
        calm, storm = [0.1] * 500, [0.85] * 500
        self.cost(guard, calm, lambda d: 1.5 * d, policy=0.2)
        assert self.cost(guard, storm, lambda d: 1.5 * d, policy=0.2) <= 1.1
        assert self.cost(guard, calm, lambda d: 1.5 * d, policy=0.2) <= 0.5

    def test_tries_again_what_did_not_pay(self):
        guard = Guard()
        self.cost(guard, [0.7] * 300, lambda d: 2 * d)
        assert self.cost(guard, [0.7] * 3000, lambda d: 0.5 * d) < 0.8


class Chatty(Policy):
    """Asks for most blocks, after long thought."""

    threshold = 1.0

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds
        self.asked = 0

    def decide(self, frame, state):
        self.asked += 1
        self.clock.now += self.seconds
        mask = state.grid.all()
        mask.active[0, 0] = False
        return mask

    def observe(self, mask, before, after):
        self.clock.now += self.seconds


class TestPipeline:
    @pytest.mark.parametrize("target", [0.90, 0.95, 0.98])
    def test_reaches_its_target(self, target):
        pictures = list(flicker(800))
        quality = Quality(target=target, guard=False)
        predictions = list(Pipeline(Cells(), Change(threshold=6), quality=quality).run(pictures))
        assert reached(predictions, pictures).mean() > target - 0.02
        assert np.mean([p.share + (p.audit is not None) for p in predictions]) < 1
        assert sum(p.audit is not None for p in predictions) <= 0.05 * 800

    def test_audits_tell_the_truth_and_leave_the_stream_alone(self):
        pictures = list(flicker(300))
        model = Cells()
        quality = Quality(target=0.9, audit_cost=0.2, guard=False)
        predictions = list(Pipeline(model, Change(threshold=6), quality=quality).run(pictures))
        true = reached(predictions, pictures)
        audits = [p.audit for p in predictions if p.audit]
        assert len(audits) > 40
        assert [a.agreement for a in audits] == [true[a.index] for a in audits]
        assert all(p.audit is None or p.audit.index == p.index - 1 for p in predictions)
        assert len({id(cache) for cache in model.calls}) == 2  # one of the stream, one of audits
        assert any(
            p.status == "reused" for p in predictions if p.index in {a.index for a in audits}
        )

    def test_audits_take_time_but_delay_no_result(self):
        clock = Clock()
        model = Cells(clock, block_seconds=1e-3)
        quality = Quality(target=0.9, audit_cost=0.2, guard=False)
        predictions = list(
            Pipeline(model, Change(), quality=quality, clock=clock).run(flicker(100))
        )
        for p in predictions:
            assert p.seconds.audit == pytest.approx(15e-3 + 1e-6 if p.audit else 0.0)
            assert p.latency_seconds == p.seconds.policy + p.seconds.model

    def test_a_storm_costs_at_most_a_tenth_more_than_dense(self):
        clock = Clock()
        policy = Chatty(clock, seconds=2e-3)
        model = Cells(clock, block_seconds=1e-3)  # 15 ms a frame
        predictions = list(
            Pipeline(model, policy, quality=Quality(target=0.9), clock=clock).run(flicker(500))
        )
        assert clock.now / len(predictions) <= 1.1 * 15e-3
        assert policy.asked < 100
        assert sum(p.audit is not None for p in predictions) < 25

    def test_a_policy_without_a_threshold_is_refused(self):
        with pytest.raises(PolicyError, match=r"Interval has no threshold.*Change"):
            Pipeline(StillModel(), Interval(), quality=Quality(target=0.9))
        with pytest.raises(PolicyError, match="a threshold of 0"):
            Pipeline(StillModel(), Change(threshold=0), quality=Quality(target=0.9))

    def test_each_stream_starts_from_the_threshold_that_was_given(self):
        streams = [*flicker(300, stream="a"), *flicker(300, stream="b")]
        policy = Change(threshold=6)
        pipeline = Pipeline(Cells(), policy, quality=Quality(target=0.9, guard=False))
        shares = [p.share for p in pipeline.run(streams)]
        assert shares[:300] == shares[300:]

    def test_a_change_of_size_starts_anew(self):
        pictures = [*flicker(100), *flicker(100, size=(64, 64))]
        quality = Quality(target=0.9, refresh_seconds=0.5)
        predictions = list(Pipeline(Cells(), Change(), quality=quality).run(pictures))
        assert [p.fault for p in predictions] == [None] * 200
        assert predictions[100].density == 1
        assert predictions[100].audit is None  # none of the last frame before
        assert all(p.audit is None or p.audit.index == p.index - 1 for p in predictions)

    def test_moves_all_parts_of_a_combination(self):
        policy = Change(threshold=6) | Change(threshold=3)
        pipeline = Pipeline(Cells(), policy, quality=Quality(target=0.9))
        for _ in pipeline.run(flicker(200)):
            pass
        first, second = (part.threshold for part in policy.parts)
        assert first == pytest.approx(2 * second)
        assert first != pytest.approx(6)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"target": 1.0}, "between 0 and 1, got 1.0"),
            ({"target": float("nan")}, "between 0 and 1, got nan"),
            ({"audit_cost": 0}, "above 0, up to 1, got 0"),
            ({"refresh_seconds": -1}, "got -1"),
            ({"refresh_seconds": float("nan")}, "got nan"),
        ],
    )
    def test_settings_out_of_range_are_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            Quality(**settings)


def test_holds_a_real_detector_to_its_target(media, models_dir):
    card = Path(__file__).parents[1] / "data" / "cards" / "fastestdet.toml"
    model = load_model(str(models_dir / "fastestdet.onnx"), card=card)
    source = open_source(media / "bottle-detection.mp4", max_frames=300)
    quality = Quality(target=0.9, guard=False)
    held = list(Pipeline(model, Change(threshold=6, grow=1), quality=quality).run(source))
    dense = Pipeline(model, All()).run(source)
    found = [agreement(p.result, d.result) for p, d in zip(held, dense, strict=True)]
    audits = [p.audit for p in held if p.audit]
    assert np.mean(found) > 0.88
    assert 10 <= len(audits) <= 15
    assert all(audit.agreement == found[audit.index] for audit in audits)
    assert np.mean([p.share for p in held]) + len(audits) / 300 < 0.7


class Column(Policy):
    """Computes the first column of blocks only."""

    def decide(self, frame: Frame, state) -> BlockMask:
        mask = state.grid.none()
        mask.active[:, 0] = True
        return mask


def scene(levels, count, start=0, fps=25.0):
    """A still picture of blocks with these grey levels."""
    image = np.kron(np.asarray(levels, np.uint8), np.ones((SIDE, SIDE), np.uint8))
    for index in range(start, start + count):
        yield Frame.from_image(
            np.repeat(image[..., None], 3, -1), index=index, pts_seconds=index / fps, stream="test"
        )


STILL = np.zeros((3, 5))


def planted():
    levels = STILL.copy()
    levels[1, 3] = 200
    return [*scene(STILL, 40), *scene(levels, 120, start=40)]


def cut():
    return [*scene(STILL, 40), *scene(255 - STILL, 120, start=40)]


def lights_off():
    return [*scene(STILL + 180, 40), *scene(STILL, 120, start=40)]


def frozen():
    return list(scene(STILL + 150, 160))


class TestRefresh:
    @pytest.mark.parametrize("happens", [planted, cut, lights_off, frozen])
    @pytest.mark.parametrize("policy", [First, Column, lambda: Change(threshold=250)])
    def test_nothing_is_older_than_the_bound(self, happens, policy):
        bound, pictures = 1.0, happens()
        model = Cells()
        quality = Quality(refresh_seconds=bound, guard=False)
        computed = np.zeros(model.grid(SIZE).shape)  # when each block was
        for frame, p in Pipeline(model, policy(), quality=quality).pairs(pictures):
            computed[p.mask.active] = frame.pts_seconds
            assert frame.pts_seconds - computed.min() <= bound + 1e-9
            if frame.index >= 40 + 26:
                dense = model(frame, model.grid(SIZE).all(), model.new_cache(SIZE))
                assert agreement(p.result, dense) == 1

    def test_a_planted_object_would_be_missed_without_it(self):
        last = list(Pipeline(Cells(), First()).run(planted()))[-1]
        assert len(last.result) == 0
        assert last.age_seconds == pytest.approx(159 / 25)

    def test_costs_no_more_than_it_must(self):
        quality = Quality(refresh_seconds=1.0, guard=False)
        predictions = list(Pipeline(Cells(), First(), quality=quality).run(frozen()))
        whole = [p.index for p in predictions if p.density == 1]
        assert whole == [0, 26, 52, 78, 104, 130, 156]
        assert all(p.density in (0, 1) for p in predictions)

    def test_time_that_stands_still_refreshes_nothing(self):
        still = [
            Frame.from_image(f.image, index=f.index, pts_seconds=5.0, stream="test")
            for f in frames(20)
        ]
        quality = Quality(refresh_seconds=0.0, guard=False)
        predictions = list(Pipeline(StillModel(), First(), quality=quality).run(still))
        assert [p.density for p in predictions] == [1] + [0] * 19
