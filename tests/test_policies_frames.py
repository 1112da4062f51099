"""The policies that choose whole frames, and the one that sees cuts."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamdyn import (
    BlockMask,
    Classification,
    Frame,
    Pipeline,
    Policy,
    Prediction,
    open_source,
)
from streamdyn.policies import Accumulate, AdaptiveInterval, Change, Features, SceneCut
from streamdyn.testing import StillModel

SIZE = (90, 160)


class Watcher(StillModel):
    """Recognises the brightness of the picture, in steps of 10 grey levels."""

    def __call__(self, frame: Frame, mask: BlockMask, cache: None) -> Classification:
        label = int(frame.luma.mean()) // 10
        return Classification(np.array([label]), np.ones(1, np.float32), ("level",))


def grey(levels: Iterable[float]) -> Iterator[Frame]:
    for index, level in enumerate(levels):
        image = np.full((*SIZE, 3), round(level), np.uint8)
        yield Frame.from_image(image, index=index, pts_seconds=index / 25)


def run(policy: Policy, frames: Iterable[Frame]) -> list[Prediction]:
    predictions = list(Pipeline(Watcher(), policy).run(frames))
    assert not any(prediction.fault for prediction in predictions)
    assert {prediction.density for prediction in predictions} <= {0, 1}
    return predictions


def computed(policy: Policy, frames: Iterable[Frame]) -> list[int]:
    return [p.index for p in run(policy, frames) if p.status == "computed"]


def test_adaptive_interval_lengthens_while_nothing_changes_up_to_its_bound():
    gaps = np.diff(computed(AdaptiveInterval(most=9), grey([100] * 400)))
    assert gaps[0] == 1
    assert (np.diff(gaps) >= 0).all()
    assert gaps[-10:].tolist() == [9] * 10


def test_adaptive_interval_shortens_when_results_change():
    levels = [100.0] * 300 + [float(10 * (n % 20)) for n in range(60)]
    indices = computed(AdaptiveInterval(most=9), grey(levels))
    assert np.diff([i for i in indices if i >= 330]).max() == 1


@pytest.mark.parametrize("threshold", [0.1, 0.3])
def test_adaptive_interval_settles_where_the_results_change_by_the_threshold(threshold):
    draw = np.random.default_rng(0)
    levels = 100 + 10 * np.cumsum(draw.random(3000) < 0.05) % 100
    predictions = run(AdaptiveInterval(threshold), grey(levels))
    labels = [p.result.labels[0] for p in predictions[500:] if p.status == "computed"]
    assert np.mean(np.diff(labels) != 0) == pytest.approx(threshold, abs=0.05)


@given(st.lists(st.integers(0, 25), min_size=2, max_size=60), st.integers(1, 8))
def test_adaptive_interval_never_waits_longer_than_its_bound(levels, most):
    indices = computed(AdaptiveInterval(most=most), grey(10.0 * level for level in levels))
    assert np.diff([*indices, len(levels)]).max() <= most


def test_accumulate_looks_often_where_frames_move_and_rarely_where_they_do_not():
    levels = [100.0] * 150 + [100 + 6.0 * (n % 20) for n in range(150)]
    indices = np.array(computed(Accumulate(threshold=0.3), grey(levels)))
    still, moving = np.sum(indices < 150), np.sum(indices >= 150)
    assert 0 < still < 30
    assert moving > 2 * still


def test_accumulate_learns_what_a_change_of_the_picture_means():
    """Flicker that changes no result is soon ignored."""
    flicker = [104.0 + n % 2 for n in range(1200)]
    indices = np.array(computed(Accumulate(threshold=0.2), grey(flicker)))
    assert np.sum(indices >= 900) < 0.5 * np.sum(indices < 300)


def test_accumulate_sees_at_once_what_happens_suddenly():
    levels = [100.0] * 60 + [200.0] * 10
    assert 60 in computed(Accumulate(threshold=0.4), grey(levels))


@pytest.mark.parametrize("make", [AdaptiveInterval, Accumulate])
def test_a_larger_threshold_computes_less(make):
    draw = np.random.default_rng(1)
    levels = 100 + np.cumsum(draw.normal(0, 3, 600)).clip(-90, 90)
    few, many = (len(computed(make(threshold=t), grey(levels))) for t in (0.5, 0.05))
    assert few < many


def scene(*squares: tuple[int, int, int], noise: int = 0) -> NDArray[np.uint8]:
    """A grey picture with bright squares (top, left, side)."""
    image = np.full((*SIZE, 3), 80, np.uint8)
    for top, left, side in squares:
        image[top : top + side, left : left + side] = 200
    return image + np.random.default_rng(noise).integers(0, 1 + 4 * (noise > 0), image.shape, "u1")


def show(*images: NDArray[np.uint8]) -> list[Frame]:
    return [Frame.from_image(im, index=n, pts_seconds=n / 25) for n, im in enumerate(images)]


@pytest.mark.parametrize("kind", ["pixel", "area", "edge"])
def test_features_see_an_object_and_not_noise(kind):
    empty, same = scene(), scene(noise=1)
    planted = scene((20, 40, 30))
    policy = Features(kind, threshold=0.005)
    assert computed(policy, show(empty, same, planted, planted, same)) == [0, 2, 4]


def test_features_measure_what_they_say():
    """One square of 30 px and four of 15 px: as many pixels, but not as large an area."""
    one = show(scene(), scene((20, 40, 30)))
    four = show(scene(), scene(*[(20, 40 + 30 * n, 15) for n in range(4)]))
    for kind, frames, differs in [
        ("pixel", one, 0.05),
        ("pixel", four, 0.05),
        ("area", one, 0.05),
    ]:
        assert computed(Features(kind, threshold=differs), frames) == [0, 1]
    assert computed(Features("area", threshold=0.03), four) == [0]
    assert computed(Features("pixel", threshold=0.09), one) == [0]


def test_features_add_up_a_slow_change():
    """The comparison is with the last frame that was kept, not with the one before."""
    indices = computed(Features("pixel", threshold=0.5), grey(range(50, 150)))
    assert np.diff(indices).tolist() == [21] * 4


def spliced(*clips: Iterable[Frame]) -> list[Frame]:
    """One stream of several, in the size of the first."""
    images = [frame.image for clip in clips for frame in clip]
    height, width, _ = images[0].shape
    rows = [np.linspace(0, im.shape[0] - 1, height).astype(int) for im in images]
    columns = [np.linspace(0, im.shape[1] - 1, width).astype(int) for im in images]
    return show(*(im[r][:, c] for im, r, c in zip(images, rows, columns, strict=True)))


def cuts(frames: Iterable[Frame]) -> list[int]:
    return computed(SceneCut(), frames)[1:]


def test_scene_cut_finds_where_real_clips_were_joined(media):
    clips = [
        open_source(media / name, max_frames=25)
        for name in ("bottle-detection.mp4", "asl-book.mkv", "car-detection.mp4")
    ]
    street = open_source("synthetic:street?frames=25&height=180&width=320&pan=3")
    assert cuts(spliced(*clips, street)) == [25, 50, 75]


@pytest.mark.parametrize(
    "name", ["asl-bird.mkv", "asl-again.mkv", "bottle-detection.mp4", "car-detection.mp4"]
)
def test_scene_cut_raises_no_false_alarm_within_a_real_clip(media, name):
    assert cuts(open_source(media / name, max_frames=400)) == []


@pytest.fixture
def still(media) -> NDArray[np.uint8]:
    (frame,) = open_source(media / "bottle-detection.mp4", max_frames=1)
    return frame.image


def test_scene_cut_is_not_fooled_by_flicker_or_noise(still):
    draw = np.random.default_rng(0)
    gains = draw.uniform(0.75, 1.25, 40)
    noisy = [still * gain + draw.normal(0, 10, still.shape) for gain in gains]
    assert cuts(show(*(image.clip(0, 255).astype(np.uint8) for image in noisy))) == []


def test_scene_cut_sees_lights_go_off_and_on(still):
    dark = (still * 0.05).astype(np.uint8)
    assert cuts(show(still, still, dark, dark, still)) == [2, 4]


@pytest.fixture
def moved(still) -> NDArray[np.uint8]:
    """The same from a camera that was pushed by a third of the picture."""
    return np.roll(still, (still.shape[0] // 3, still.shape[1] // 3), (0, 1))


def test_scene_cut_sees_that_the_camera_was_moved(still, moved):
    assert cuts(show(still, still, moved, moved)) == [2]


def test_scene_cut_forces_a_key_frame_on_other_policies(still, moved):
    masks = [
        p.density
        for p in Pipeline(StillModel(), Change(250) | SceneCut()).run(
            show(still, still, moved, moved)
        )
    ]
    assert masks == [1, 0, 1, 0]


def test_scene_cut_keeps_its_distance_whatever_the_quality():
    both = Change(threshold=4) | SceneCut(distance=0.5)
    both.threshold = 400.0
    assert both.parts[1].distance == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: AdaptiveInterval(threshold=0),
        lambda: AdaptiveInterval(most=0),
        lambda: Accumulate(threshold=0),
        lambda: Features(kind="colour"),
        lambda: Features(threshold=-1),
        lambda: SceneCut(distance=1),
    ],
)
def test_arguments_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must"):
        make()
