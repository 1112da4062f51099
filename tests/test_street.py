"""Synthetic streets: deterministic, and true to their labels and boxes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdyn.sources.synthetic.street import CLASSES, Scene, Street
from streamdyn.types import Detections, Segmentation

PERSON, VEHICLE = CLASSES.index("person"), CLASSES.index("vehicle")
SMALL = {"height": 128, "width": 256}


def boxes_of_pixels(scene: Scene) -> bool:
    """Whether each pixel of a mover's class lies in a box of that class."""
    for label in (PERSON, VEHICLE):
        inside = np.zeros(scene.labels.shape, bool)
        for x1, y1, x2, y2 in scene.boxes[scene.box_labels == label].astype(int):
            inside[y1:y2, x1:x2] = True
        if not inside[scene.labels == label].all():
            return False
    return True


def test_the_same_seed_gives_the_same_bytes_in_any_order() -> None:
    forwards = [Street(seed=3, **SMALL).render(i) for i in (0, 7, 90)]
    street = Street(seed=3, **SMALL)
    backwards = [street.render(i) for i in (90, 7, 0)][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.boxes, b.boxes)


def test_the_length_does_not_change_a_frame() -> None:
    short, long = Street(seed=3, frames=10, **SMALL), Street(seed=3, frames=9000, **SMALL)
    np.testing.assert_array_equal(short.render(9).image, long.render(9).image)


def test_seeds_differ() -> None:
    images = [Street(seed=seed, **SMALL).render(0).image.astype(int) for seed in range(4)]
    for a, b in pairwise(images):
        assert np.abs(a - b).mean() > 20


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    height=st.integers(16, 200),
    width=st.integers(16, 300),
    pan=st.sampled_from([0.0, 1.5, -3.0]),
    index=st.integers(0, 999),
)
def test_any_size_is_labelled_and_boxed(
    seed: int, height: int, width: int, pan: float, index: int
) -> None:
    scene = Street(seed=seed, height=height, width=width, pan=pan, frames=1000).render(index)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == scene.labels.dtype == np.uint8
    assert scene.labels.shape == (height, width)
    assert scene.labels.max() < len(CLASSES)
    assert boxes_of_pixels(scene)
    x1, y1, x2, y2 = scene.boxes.T
    assert ((x1 >= 0) & (x1 < x2) & (x2 <= width)).all()
    assert ((y1 >= 0) & (y1 < y2) & (y2 <= height)).all()


def test_a_box_is_tight_around_a_mover_that_stands_alone() -> None:
    tight = 0
    for seed in range(4):
        scene = Street(seed=seed).render(50)
        boxes = scene.boxes.astype(int)
        for i, (x1, y1, x2, y2) in enumerate(boxes):
            others = np.delete(boxes, i, axis=0)
            apart = (others[:, 0] > x2) | (others[:, 2] < x1)
            apart |= (others[:, 1] > y2) | (others[:, 3] < y1)
            if not apart.all():
                continue
            around = np.s_[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1]
            own = np.zeros(scene.labels.shape, bool)
            own[around] = scene.labels[around] == scene.box_labels[i]
            rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
            assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (x1, y1, x2, y2)
            tight += 1
    assert tight >= 5


def test_identities_last_and_move_on_smoothly() -> None:
    street = Street(seed=34)
    before, after = street.render(100), street.render(101)
    where = dict(zip(after.identities.tolist(), after.boxes, strict=True))
    followed = [i for i, number in enumerate(before.identities.tolist()) if number in where]
    assert len(followed) >= 5
    for i in followed:
        steps = np.abs(where[int(before.identities[i])] - before.boxes[i])
        assert steps.max() < 40


def test_something_moves_and_most_stands_still() -> None:
    street = Street(seed=34, noise=0, drift=0)
    changed = np.array(
        [
            (street.render(i).image != street.render(i + 1).image)
            .reshape(16, 32, 32, 32, 3)
            .any(axis=(1, 3, 4))
            .mean()
            for i in range(0, 240, 16)
        ]
    )
    assert 0.01 < changed.mean() < 0.2
    assert changed.min() < 0.05 < changed.max()


@pytest.mark.parametrize("pan", [1.0, 2.5, -3.0])
def test_pan_shifts_the_background_by_whole_pixels(pan: float) -> None:
    street = Street(seed=5, pan=pan, noise=0, drift=0, traffic=0, frames=400, **SMALL)
    first = street.render(0)
    for index in (1, 4, 20):
        shift, now = round(abs(pan) * index), street.render(index)
        old, new = (np.s_[shift:], np.s_[: 256 - shift])
        if pan < 0:
            old, new = new, old
        inner = np.s_[1:-1]  # the lens blurs differently at the picture's edge
        np.testing.assert_array_equal(first.labels[:, old], now.labels[:, new])
        np.testing.assert_array_equal(first.image[:, old][:, inner], now.image[:, new][:, inner])


def test_a_pan_swings_back() -> None:
    street = Street(seed=5, pan=2.0, noise=0, drift=0, traffic=0, frames=400, **SMALL)
    np.testing.assert_array_equal(street.render(0).labels, street.render(128).labels)
    assert (street.render(0).labels != street.render(64).labels).mean() > 0.05


def test_noise_and_drift_and_traffic_can_be_switched_off() -> None:
    still = Street(seed=1, noise=0, drift=0, traffic=0, **SMALL)
    np.testing.assert_array_equal(still.render(0).image, still.render(200).image)
    assert len(still.render(0).boxes) == 0
    noisy = Street(seed=1, noise=4, drift=0, traffic=0, **SMALL)
    difference = noisy.render(0).image.astype(float) - still.render(0).image
    assert difference.std() == pytest.approx(4, rel=0.1)
    drifting = Street(seed=1, noise=0, drift=0.2, traffic=0, **SMALL)
    means = [drifting.render(i).image.mean() for i in range(0, 250, 25)]
    assert max(means) > 1.1 * min(means)


def test_iterating_renders_every_frame() -> None:
    street = Street(seed=2, height=32, width=48, frames=5)
    scenes = list(street)
    assert len(scenes) == len(street) == 5
    np.testing.assert_array_equal(scenes[4].image, street.render(4).image)


def test_the_truth_comes_as_results() -> None:
    scene = Street(seed=2, **SMALL).render(0)
    assert isinstance(scene.segmentation(), Segmentation)
    assert scene.segmentation().classes == CLASSES
    detections = scene.detections()
    assert isinstance(detections, Detections)
    assert len(detections) == len(scene.boxes) > 0
    assert set(detections.names) <= {"person", "vehicle"}
    assert (detections.scores == 1).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("height", 15),
        ("width", 0),
        ("fps", 0),
        ("fps", float("nan")),
        ("frames", 0),
        ("pan", 65),
        ("noise", -0.1),
        ("drift", 0.6),
        ("traffic", -1),
    ],
)
def test_what_is_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is {value}; it must be from"):
        Street(**{**SMALL, name: value})


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_no_frame_outside(index: int) -> None:
    with pytest.raises(IndexError, match=f"frame {index} of a street of 5 frames"):
        Street(frames=5, **SMALL).render(index)
