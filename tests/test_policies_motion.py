"""Motion: what the codec says has moved."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from streamdyn import Pipeline, StreamState, open_source
from streamdyn.fit import Fit
from streamdyn.policies import Change, Motion
from streamdyn.sources.synthetic.encode import encode
from streamdyn.testing import StillModel
from streamdyn.types import MotionVectors
from tests.policies_kit import RESULT, SIZE, Luma, frame_of, noisy, predictions, street

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
