"""What stands between a picture and a network: pieces cut, travelled or not, and written."""

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamdyn import Frame, ModelError
from streamdyn.blocks import BlockMask
from streamdyn.models.card import InputCard
from streamdyn.models.cut import Cutter, Intake, Pieces
from streamdyn.models.prepare import Prepare


def frame(image: NDArray[np.uint8], index: int = 0) -> Frame:
    return Frame.from_image(image, index=index, pts_seconds=index / 10)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def made(card: InputCard, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The input of a network for a picture by itself."""
    fit = card.lay(image.shape[:2])
    return Prepare(card, fit.size)(Cutter(card, fit).whole(image))


def plain_input(image: NDArray[np.uint8], card: InputCard) -> NDArray[np.float64]:
    """The input of a picture by definition, for pictures that are not resized."""
    fit = card.lay(image.shape[:2])
    canvas = np.full((*fit.size, 3), card.pad, np.float64)
    top, left, height, width = fit.picture
    for row, col in np.ndindex(height, width):
        y, x = top + row, left + col
        if 0 <= y < fit.size[0] and 0 <= x < fit.size[1]:
            canvas[y, x] = image[row, col]
    if card.color == "bgr":
        canvas = canvas[..., ::-1]
    return ((canvas / card.scale - card.mean) / card.std).transpose(2, 0, 1)[None]


class TestPrepare:
    @given(
        seed=st.integers(0, 2**32 - 1),
        color=st.sampled_from(["rgb", "bgr"]),
        scale=st.sampled_from([255.0, 1.0, 127.5]),
        mean=st.tuples(*[st.floats(-1, 1)] * 3),
        std=st.tuples(*[st.floats(0.1, 2)] * 3),
    )
    def test_equals_the_definition(self, seed, color, scale, mean, std):
        card = InputCard(
            size=(16, 12), color=color, scale=scale, mean=mean, std=std, fit="pad", pad=7
        )
        random = np.random.default_rng(seed)
        height, width = random.integers(1, 17), random.integers(1, 13)
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        got = made(card, image)
        assert got.dtype == np.float32
        assert got.flags.c_contiguous
        np.testing.assert_allclose(got, plain_input(image, card), rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize(
        ("fit", "source"),
        [("stretch", (16, 12)), ("letterbox", (8, 12)), ("crop", (20, 12)), ("crop", (16, 40))],
    )
    def test_every_fit_lays_the_picture_where_it_says(self, fit, source):
        card = InputCard(size=(16, 12), fit=fit)
        image = noise(*source)
        got = made(card, image)
        np.testing.assert_allclose(got, plain_input(image, card), rtol=1e-6)

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("nearest", cv2.INTER_NEAREST_EXACT),
            ("bilinear", cv2.INTER_LINEAR),
            ("bicubic", cv2.INTER_CUBIC),
            ("area", cv2.INTER_AREA),
        ],
    )
    def test_resizes_as_the_card_says(self, name, code):
        card = InputCard(size=(16, 12), interpolation=name)
        image = noise(40, 50)
        got = made(card, image)
        want = cv2.resize(image, (12, 16), interpolation=code)
        np.testing.assert_allclose(got[0].transpose(1, 2, 0), want / 255, rtol=1e-6)

    def test_area_enlarges_smoothly(self):
        image = noise(4, 4)
        inputs = [
            made(card, image)
            for card in (InputCard(size=(16, 12), interpolation=n) for n in ("area", "bilinear"))
        ]
        np.testing.assert_array_equal(*inputs)

    def test_padding_survives_from_frame_to_frame(self):
        card = InputCard(size=(16, 16), fit="letterbox", pad=114)
        cutter, prepare = Cutter(card, card.lay((8, 16))), Prepare(card, (16, 16))
        for seed in range(2):
            got = prepare(cutter.whole(noise(8, 16, seed))) * 255
            np.testing.assert_allclose(got[..., [0, 3, 12, 15], :], 114, rtol=1e-6)
            np.testing.assert_allclose(
                got[0, :, 4:12].transpose(1, 2, 0), noise(8, 16, seed), rtol=1e-5, atol=1e-5
            )

    def test_a_picture_is_not_changed(self):
        image = noise(16, 12)
        image.flags.writeable = False
        card = InputCard(size=(16, 12))
        made(card, image)
        np.testing.assert_array_equal(image, noise(16, 12))

    def test_a_crop_of_next_to_nothing_is_refused(self):
        card = InputCard(size=(224, 224), fit="crop")
        with pytest.raises(ModelError, match=r'1x10000 px cannot be cropped .* fit = "letterbox"'):
            Cutter(card, card.lay((1, 10000)))


class TestPieces:
    """Masked blocks of the input equal those of an input made whole, by whichever way."""

    @given(
        seed=st.integers(0, 2**32 - 1),
        fit=st.sampled_from(["stretch", "letterbox", "crop", "pad"]),
        color=st.sampled_from(["rgb", "bgr"]),
        block=st.sampled_from([4, 8, 32]),
        density=st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0]),
        sparing=st.booleans(),
    )
    def test_equal_the_whole(self, seed, fit, color, block, density, sparing):
        random = np.random.default_rng(seed)
        card = InputCard(size=(40, 52), fit=fit, color=color, mean=(0.4, 0.5, 0.6))
        source = (
            tuple(random.integers(1, (41, 53)).tolist())
            if fit == "pad"
            else [(40, 52), (20, 52), (80, 104), (41, 60), (5, 6)][random.integers(5)]
        )
        laid = card.lay(source)
        grid = laid.grid(block)
        cutter, prepare = Cutter(card, laid, sparing=sparing), Prepare(card, laid.size)
        prepare(cutter(frame(noise(*source)), grid.all()))
        for turn in range(1, 3):
            mask = BlockMask(grid, random.random(grid.shape) < density)
            pieces = cutter(frame(noise(*source, turn)), mask)
            if sparing:
                assert pieces.pixels[..., 0].size <= mask.active.sum() * block**2
            got = prepare(pieces)
            chosen = mask.active.repeat(block, 0).repeat(block, 1)[:40, :52]
            want = made(card, noise(*source, turn))
            np.testing.assert_array_equal(got[..., chosen], want[..., chosen])

    @pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
    def test_of_a_resized_picture_equal_the_whole(self, fit):
        card = InputCard(size=(416, 424), fit=fit)
        laid = card.lay((36, 64))
        grid = laid.grid(32)
        cutter, prepare = Cutter(card, laid), Prepare(card, laid.size)
        before = prepare(cutter(frame(noise(36, 64)), grid.all())).copy()
        mask = BlockMask(grid, np.random.default_rng(0).random(grid.shape) < 0.1)
        got, want = prepare(cutter(frame(noise(36, 64, 1)), mask)), made(card, noise(36, 64, 1))
        chosen = mask.active.repeat(32, 0).repeat(32, 1)[:416, :424]
        np.testing.assert_array_equal(got[..., chosen], want[..., chosen])
        assert (got == before).mean() > 0.7  # the rest is as it was

    def test_what_is_not_masked_is_not_converted(self):
        class Watched(Frame):
            read = 0

            def patches(self, corners, size):
                self.read += len(corners) * size[0] * size[1]
                return super().patches(corners, size)

        card = InputCard(size="source", multiple=8)
        laid = card.lay((60, 80))
        grid = laid.grid(8)
        cutter, prepare = Cutter(card, laid), Prepare(card, laid.size)
        before = prepare(cutter(frame(noise(60, 80)), grid.all())).copy()
        prepare(cutter(frame(noise(60, 80, 1)), grid.none()))
        mask = grid.none()
        mask.active[[0, 7, 7], [0, 3, 9]] = True  # two of them reach below the picture
        watched = Watched.from_image(noise(60, 80, 1), index=1, pts_seconds=1)
        after = prepare(cutter(watched, mask))
        assert watched.read == 3 * 8 * 8
        changed = np.argwhere((after != before).any(axis=(0, 1)))
        assert 0 < len(changed) <= watched.read
        assert changed.max(axis=0).tolist() == [59, 79]

    def test_what_a_stream_needs_to_cut_them_can_travel(self):
        card = InputCard(size=(64, 96), fit="letterbox")
        fit = card.lay((32, 32))
        intake = Intake(card, fit, fit.grid(32), on_blocks=False)
        there = pickle.loads(pickle.dumps(intake))
        one = there.grid.none()
        one.active[0, 1] = True
        assert there == intake
        assert there.seen(one).active.all()
        pieces = there.cutter()(frame(noise(32, 32)), there.seen(one))
        np.testing.assert_array_equal(
            Prepare(card, fit.size)(pickle.loads(pickle.dumps(pieces))), made(card, noise(32, 32))
        )

    def test_where_none_reaches_there_is_padding(self):
        card = InputCard(size=(16, 16), fit="letterbox", pad=114)
        pieces = Pieces(np.array([[4, 0]]), noise(8, 16)[None])
        got = Prepare(card, (16, 16))(pieces) * 255
        np.testing.assert_allclose(got[..., [0, 3, 12, 15], :], 114, rtol=1e-6)
