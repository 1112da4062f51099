"""What a view shows of each frame: the reference, ages, blocks and labels, and where."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamdyn import BlockGrid, BlockMask, SinkError
from streamdyn.overlay.age import STEPS, age_colour, paint_age_scale, paint_ages
from streamdyn.records import Decision
from streamdyn.types import Prediction
from streamdyn.view import LAYERS, parse_panels
from streamdyn.view.history import Ages, History
from streamdyn.view.layout import WIDEST, Layout, columns_of
from streamdyn.view.panels import Scene
from streamdyn.view.survey import Survey
from tests.predictions_kit import a_prediction
from tests.view_kit import NOTHING, frame_of

GRID = BlockGrid(height=96, width=160, block=32)  # that of StillModel


many_masks = st.lists(hnp.arrays(np.bool_, GRID.shape), max_size=6).map(
    lambda later: [GRID.all(), *(BlockMask(GRID, active) for active in later)]
)


def mask_of(blocks: int) -> BlockMask:
    mask = GRID.none()
    mask.active.flat[:blocks] = True
    return mask


def survey_of(*blocks: int) -> Survey:
    """Of frames in which so many of the 15 blocks were computed."""
    return Survey(Decision("cam", i, i / 25, mask_of(count)) for i, count in enumerate(blocks))


def prediction_of(index: int, mask: BlockMask) -> Prediction:
    status = "computed" if mask else "reused"
    share = mask.density
    return a_prediction(NOTHING, index, status=status, density=share, share=share, mask=mask)


class TestHistory:
    @given(many_masks)
    def test_keeps_what_was_last_computed(self, masks: list[BlockMask]) -> None:
        history = History()
        frames = [frame_of(index) for index in range(len(masks))]
        for frame, mask in zip(frames, masks, strict=True):
            history.advance(frame, mask)
        for row, col in np.ndindex(GRID.shape):
            last = max(i for i, mask in enumerate(masks) if mask.active[row, col])
            block = np.s_[32 * row : 32 * row + 32, 32 * col : 32 * col + 32]
            np.testing.assert_array_equal(history.reference[block], frames[last].image[block])
            assert history.ages.frames[row, col] == len(masks) - 1 - last
        oldest = int(history.ages.frames.max())
        assert history.ages.oldest == (oldest, pytest.approx(oldest / 25))

    def test_padding_does_not_age(self) -> None:
        ages = Ages()
        letterbox = BlockGrid(96, 96, 32, picture=(32, 0, 32, 96))
        for index in range(5):
            mask = letterbox.none()
            mask.active[1] = True
            ages.advance(letterbox.all() if index == 0 else mask, index / 25)
        assert ages.frames.max() == 4
        assert ages.oldest == (0, 0.0)

    def test_starts_anew_with_another_size(self) -> None:
        history = History()
        history.advance(frame_of(0), GRID.all())
        small = BlockGrid(32, 32, 32)
        history.advance(frame_of(1, (32, 32)), small.all())
        np.testing.assert_array_equal(history.reference, frame_of(1, (32, 32)).image)
        assert history.ages.frames.tolist() == [[0]]


class TestSurvey:
    def test_tells_what_each_moment_is_an_example_of(self) -> None:
        told = survey_of(15, 2, 3, 12, 0, 3, 15).telling()
        assert told == {
            0: "key frame",
            2: "usual: 20% of the blocks",
            3: "most computed: 80% of the blocks",
            4: "skipped: nothing computed",
            5: "oldest block: 0.20 s",
            6: "key frame",
        }

    def test_a_moment_may_be_several(self) -> None:
        assert survey_of(15, 0).telling() == {
            0: "key frame",
            1: "oldest block: 0.04 s, skipped: nothing computed",
        }

    def test_where_all_is_computed_there_are_key_frames_alone(self) -> None:
        assert survey_of(*[15] * 9).telling() == {0: "key frame", 8: "key frame"}

    @given(st.lists(st.integers(0, 15), max_size=30))
    def test_there_are_always_some(self, blocks: list[int]) -> None:
        told = survey_of(15, *blocks).telling()
        assert 1 <= len(told) <= 6
        assert list(told) == sorted(told)
        assert set(told) <= set(range(len(blocks) + 1))

    def test_of_nothing_is_refused(self) -> None:
        with pytest.raises(SinkError, match="no frame"):
            survey_of()


class TestAges:
    def test_fresh_is_cool_and_stale_is_warm(self) -> None:
        canvas = np.full((96, 160, 3), 100, np.uint8)
        ages = np.zeros(GRID.shape, np.int64)
        ages[0, 1], ages[0, 2], ages[0, 3] = 1, 100, 5000
        paint_ages(canvas, GRID, ages, longest=100)
        now, fresh, stale, beyond = (canvas[10, 32 * col + 10].astype(int) for col in range(4))
        assert now.tolist() == [100, 100, 100]
        assert fresh[2] > fresh[0]
        assert stale[0] > stale[2]
        assert beyond.tolist() == stale.tolist()

    @pytest.mark.parametrize("longest", [0, 1, 7, 100_000])
    @pytest.mark.parametrize("width", [1, 40, 300])
    def test_the_scale_runs_from_the_first_colour_to_the_last(
        self, width: int, longest: int
    ) -> None:
        canvas = np.zeros((20, width, 3), np.uint8)
        paint_age_scale(canvas, longest, longest / 25, 12)
        assert canvas[0, 0] == pytest.approx(age_colour(1 / width), abs=1)
        assert canvas[0, -1] == pytest.approx(age_colour(1), abs=1)

    def test_colours_differ(self) -> None:
        assert len({age_colour(step / STEPS) for step in range(STEPS + 1)}) == STEPS + 1


class TestPanels:
    def scene(self) -> Scene:
        history = History()
        history.advance(frame_of(0), GRID.all())
        history.advance(frame_of(1), mask_of(1))
        return Scene.of(frame_of(1), prediction_of(1, mask_of(1)), history, (96, 160), 1)

    def draw(self, text: str) -> np.ndarray:
        (panel,) = parse_panels(text)
        return self.scene().draw(panel)

    def test_frame_and_reference(self) -> None:
        np.testing.assert_array_equal(self.draw("frame"), frame_of(1).image)
        reference = self.draw("reference")
        np.testing.assert_array_equal(reference[:32, :32], frame_of(1).image[:32, :32])
        np.testing.assert_array_equal(reference[32:], frame_of(0).image[32:])

    def test_what_was_not_computed_is_shaded(self) -> None:
        drawn = self.draw("mask")
        assert drawn[:32, :32].mean() > 100
        assert drawn[32:].mean() < 50

    def test_what_was_computed_has_no_age(self) -> None:
        drawn = self.draw("age")
        np.testing.assert_array_equal(drawn[:32, :32], frame_of(1).image[:32, :32])
        red, _, blue = drawn[32:].mean(axis=(0, 1))
        assert red > blue + 20  # the oldest of this run

    def test_layers_lie_on_one_another(self) -> None:
        both = self.draw("reference+mask")
        shaded = (frame_of(0).image[40:] * 0.3).astype(int)
        np.testing.assert_allclose(both[40:], shaded, atol=1)

    def test_drawing_leaves_the_scene_alone(self) -> None:
        scene = self.scene()
        image = scene.image.copy()
        for name in LAYERS:
            scene.draw((name,))
        np.testing.assert_array_equal(scene.image, image)

    def test_names(self) -> None:
        assert parse_panels("results+mask,age") == [("results", "mask"), ("age",)]
        with pytest.raises(ValueError, match="no layer 'masks'; there are frame, results, mask"):
            parse_panels("results,masks")


class TestLayout:
    @given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 6), st.integers(0, 10**6))
    @settings(max_examples=30)
    def test_is_no_wider_than_a_screen(
        self, height: int, width: int, count: int, longest: int
    ) -> None:
        picture = (height, width)
        panels = [("age",)] * count
        columns = columns_of(count, picture)
        layout = Layout(panels, picture, columns, (longest, longest / 25))
        assert layout.width <= WIDEST
        assert layout.rows * columns >= count
        assert layout.titles(layout.rows - 1).shape[1:] == (layout.width, 3)

    def test_small_pictures_are_enlarged(self) -> None:
        layout = Layout([("frame",)] * 2, (30, 40), 2, (1, 0.04))
        assert layout.size == (300, 400)
