import logging
import time

import numpy as np
import pytest

from streamdyn import BlockMask, Classification, Frame, Pipeline, Policy, ScorePolicy, StreamState
from streamdyn.policies import All, First, Interval, Random
from streamdyn.testing import StillModel, frames


class Counting(StillModel):
    """Says how often it was called, and keeps count in its cache."""

    def new_cache(self, size):
        return {"calls": 0}

    def __call__(self, frame, mask, cache):
        super().__call__(frame, mask, cache)
        cache["calls"] += 1
        return answer(cache["calls"])


def answer(label: int) -> Classification:
    return Classification(np.array([label]), np.ones(1, np.float32), (str(label),))


def labels(predictions):
    return [int(p.result.labels[0]) for p in predictions]


def test_one_prediction_per_frame_in_order():
    predictions = list(Pipeline(StillModel(), Random(0.5)).run(frames(20)))
    assert [p.index for p in predictions] == list(range(20))
    assert [p.pts_seconds for p in predictions] == [n / 25 for n in range(20)]
    assert {p.stream for p in predictions} == {"test"}


def test_skipped_frames_carry_the_last_result_and_its_age():
    predictions = list(Pipeline(Counting(), Interval(every=3)).run(frames(7)))
    assert labels(predictions) == [1, 1, 1, 2, 2, 2, 3]
    assert [p.status for p in predictions] == ["computed", "reused", "reused"] * 2 + ["computed"]
    assert [p.age_frames for p in predictions] == [0, 1, 2, 0, 1, 2, 0]
    assert [p.age_seconds for p in predictions] == pytest.approx([0, 0.04, 0.08, 0, 0.04, 0.08, 0])
    assert [p.density for p in predictions] == [1, 0, 0, 1, 0, 0, 1]
    assert [p.share for p in predictions] == [1, 0, 0, 1, 0, 0, 1]


def test_an_empty_mask_never_reaches_the_model():
    model = StillModel()
    assert len(list(Pipeline(model, First()).run(frames(9)))) == 9
    assert [mask.density for mask in model.masks] == [1]


def test_the_first_frame_is_computed_whole_and_unseen_by_the_policy():
    seen = []

    class Sees(Policy):
        def decide(self, frame: Frame, state: StreamState) -> BlockMask:
            seen.append(frame.index)
            return state.grid.none()

    list(Pipeline(StillModel(), Sees()).run(frames(4)))
    assert seen == [1, 2, 3]


def test_another_stream_or_size_starts_anew():
    streams = [
        *frames(3, stream="a"),
        *frames(3, stream="b"),
        *frames(3, size=(64, 64), stream="b"),
    ]
    model = Counting()
    predictions = list(Pipeline(model, First()).run(streams))
    assert [p.density for p in predictions] == [1, 0, 0] * 3
    assert labels(predictions) == [1] * 9  # a cache of its own each time


def test_the_reference_keeps_each_block_as_last_computed():
    class Watches(Random):
        def decide(self, frame: Frame, state: StreamState) -> BlockMask:
            expected = np.zeros_like(state.reference)
            for index, mask in enumerate(model.masks):
                chosen = mask.pixels(*frame.size)
                expected[chosen] = pictures[index].luma[chosen]
            np.testing.assert_array_equal(state.reference, expected)
            ages = [len(model.masks) - last_computed(model.masks, *b) for b in blocks(state)]
            assert state.age.ravel().tolist() == ages
            mask = super().decide(frame, state)
            return mask if mask else state.grid.all()  # so that each frame adds one mask

    def last_computed(masks, row, col):
        return max(i for i, mask in enumerate(masks) if mask.active[row, col])

    def blocks(state):
        return np.ndindex(state.grid.shape)

    model, pictures = StillModel(), list(frames(12))
    predictions = list(Pipeline(model, Watches(0.3)).run(pictures))
    assert [p.fault for p in predictions] == [None] * 12


class Faulty(Policy):
    """Goes wrong on frame 2 in the way it is told."""

    def __init__(self, what):
        self.what = what

    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        return self.what(state) if frame.index == 2 else state.grid.none()


def fail(state):
    raise ZeroDivisionError("by zero")


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        (fail, "Faulty raised ZeroDivisionError: by zero"),
        (lambda state: None, "Faulty returned NoneType, not a BlockMask"),
        (lambda state: state.grid.all().active, "Faulty returned ndarray, not a BlockMask"),
        (lambda state: StillModel(block=8).grid((9, 9)).all(), "Faulty returned a mask of Block"),
    ],
)
def test_a_faulty_policy_costs_one_full_frame_and_is_reported(what, fault, caplog):
    with caplog.at_level(logging.WARNING, "streamdyn"):
        predictions = list(Pipeline(StillModel(), Faulty(what)).run(frames(4)))
    assert [p.density for p in predictions] == [1, 0, 1, 0]
    assert predictions[2].fault.startswith(fault)
    assert [p.fault for p in predictions[:2] + predictions[3:]] == [None] * 3
    assert "test, frame 2" in caplog.text


def test_scores_that_are_no_numbers_cost_a_full_frame():
    class Unsure(ScorePolicy):
        def scores(self, frame, state):
            return np.full(state.grid.shape, np.nan if frame.index == 2 else 0, np.float32)

    predictions = list(Pipeline(StillModel(), Unsure(threshold=1)).run(frames(4)))
    assert [p.density for p in predictions] == [1, 0, 1, 0]
    assert "NaN" in predictions[2].fault


def test_a_fault_in_observe_is_reported_and_the_stream_goes_on():
    class Forgets(All):
        def observe(self, mask, before, after):
            raise KeyError("gone")

    predictions = list(Pipeline(StillModel(), Forgets()).run(frames(3)))
    assert predictions[0].fault is None
    assert "raised KeyError in observe" in predictions[1].fault


def test_a_fault_in_reset_is_reported_and_the_stream_goes_on():
    class Stuck(First):
        def reset(self):
            raise OSError("no file")

    predictions = list(Pipeline(StillModel(), Stuck()).run(frames(3)))
    assert predictions[0].fault == "Stuck raised OSError in reset: no file"
    assert [p.fault for p in predictions[1:]] == [None, None]


def test_the_first_of_many_faults_is_logged(caplog):
    class Wrong(First):
        def decide(self, frame: Frame, state: StreamState) -> BlockMask:
            return None

    with caplog.at_level(logging.WARNING, "streamdyn"):
        predictions = list(Pipeline(StillModel(), Wrong()).run(frames(9)))
    assert sum(p.fault is not None for p in predictions) == 8
    assert len(caplog.records) == 1


def test_making_the_network_ready_is_no_latency():
    class Slow(StillModel):
        def new_cache(self, size):
            time.sleep(0.05)

    first, second = Pipeline(Slow(), All()).run(frames(2))
    assert first.seconds.setup >= 0.05 > second.seconds.setup
    assert first.latency_seconds == first.seconds.policy + first.seconds.model


def test_what_a_policy_takes_to_observe_is_its_time():
    now = [0.0]

    class Learns(Interval):
        def decide(self, frame, state):
            now[0] += 1
            return super().decide(frame, state)

        def observe(self, mask, before, after):
            now[0] += 10

    class Works(StillModel):
        def __call__(self, frame, mask, cache):
            now[0] += 100
            return super().__call__(frame, mask, cache)

    pipeline = Pipeline(Works(), Learns(every=2), clock=lambda: now[0])
    predictions = list(pipeline.run(frames(3)))
    assert [p.seconds.policy for p in predictions] == [0, 1, 11]
    assert [p.latency_seconds for p in predictions] == [100, 1, 111]


def test_observe_sees_what_changed():
    seen = []

    class Learns(Interval):
        def observe(self, mask, before, after):
            seen.append((mask.density, int(before.labels[0]), int(after.labels[0])))

    list(Pipeline(Counting(), Learns(every=2)).run(frames(5)))
    assert seen == [(1.0, 1, 2), (1.0, 2, 3)]


def test_pixels_are_not_converted_for_a_skipped_frame():
    class Unread:
        def luma(self):
            return np.zeros((96, 160), np.uint8)

        def image(self):
            raise AssertionError("a skipped frame was converted to RGB")

        def motion(self):
            return None

    skipped = Frame(Unread(), index=1, pts_seconds=1, size=(96, 160), stream="test")
    stream = [next(frames(1)), skipped]
    assert [p.status for p in Pipeline(StillModel(), First()).run(stream)] == ["computed", "reused"]
