"""What is drawn on pictures: where, and on any picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdyn import BlockGrid, BlockMask, Classification, Detections, Prediction, Segmentation
from streamdyn.fit import Fit
from streamdyn.overlay import draw
from streamdyn.overlay.palette import COMPUTED, class_colour
from streamdyn.types import Result

NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ()
)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def prediction(
    result: Result = NOTHING, mask: BlockMask | None = None, **changes: object
) -> Prediction:
    fields = {
        "stream": "cam",
        "index": 1234,
        "pts_seconds": 3725.4,
        "status": "computed",
        "age_frames": 0,
        "age_seconds": 0.0,
        "density": mask.density if mask else 0.0,
        "share": 0.1,
        "latency_seconds": 0.01,
        "result": result,
        "mask": mask,
    }
    return Prediction(**fields | changes)  # type: ignore[arg-type]


def box(*corners: float) -> Detections:
    boxes = np.array([corners], np.float32)
    return Detections(boxes, np.array([0.5], np.float32), np.array([3]), ("thing",))


def results(height: int, width: int) -> st.SearchStrategy[Result]:
    """Odd ones among them: names of any script, boxes beyond the picture, no entries."""
    corner = st.floats(-1e9, 1e9, width=32) | st.floats(-5, 40, width=32) | st.just(np.nan)
    name = st.text(max_size=20)

    def build(count: int, draw_of: st.DrawFn) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        scores = draw_of(st.lists(st.floats(width=32), min_size=count, max_size=count))
        labels = draw_of(st.lists(st.integers(0, 2**40), min_size=count, max_size=count))
        names = draw_of(st.lists(name, min_size=count, max_size=count))
        return np.array(scores, np.float32), np.array(labels, np.int64), tuple(names)

    @st.composite
    def any_result(draw_of: st.DrawFn) -> Result:
        task = draw_of(st.sampled_from(["recognition", "detection", "segmentation"]))
        if task == "segmentation":
            seed = draw_of(st.integers(0, 99))
            labels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
            return Segmentation(labels, tuple(draw_of(st.lists(name, max_size=300))))
        count = draw_of(st.integers(0, 5))
        scores, labels, names = build(count, draw_of)
        if task == "recognition":
            return Classification(labels, scores, names)
        sides = draw_of(st.lists(corner, min_size=count * 4, max_size=count * 4))
        return Detections(np.array(sides, np.float32).reshape(-1, 4), scores, labels, names)

    return any_result()


class TestDraw:
    @pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (17, 31), (180, 320)])
    @given(data=st.data())
    @settings(deadline=None, max_examples=40)
    def test_draws_anything_on_any_picture(
        self, size: tuple[int, int], data: st.DataObject
    ) -> None:
        result = data.draw(results(*size))
        fit = Fit.make(data.draw(st.sampled_from(["stretch", "letterbox", "crop"])), size, (64, 96))
        grid = fit.grid(32)
        active = np.random.default_rng(data.draw(st.integers(0, 99))).random(grid.shape) < 0.5
        image = grey(*size)
        status = data.draw(st.sampled_from(["computed", "reused"]))
        age = data.draw(st.integers(0, 10**6))
        drawn = draw(
            image,
            prediction(result, BlockMask(grid, active), status=status, age_frames=age, fault="no"),
        )
        assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
        assert (image == 90).all()

    def test_a_view_of_a_picture(self) -> None:
        image = np.arange(120 * 160 * 3, dtype=np.uint32).astype(np.uint8).reshape(120, 160, 3)
        mirrored = image[:, ::-1]
        np.testing.assert_array_equal(
            draw(mirrored, prediction(box(10, 10, 50, 50))),
            draw(mirrored.copy(), prediction(box(10, 10, 50, 50))),
        )

    def test_status_can_be_left_out(self) -> None:
        image = grey(240, 320)
        assert (draw(image, prediction(), status=False) == image).all()
        assert (draw(image, prediction())[-8:] != 90).any(axis=2).all()


class TestBlocks:
    def test_marks_the_blocks_and_nothing_else(self) -> None:
        grid = BlockGrid(height=128, width=256, block=32)
        mask = grid.none()
        mask.active[1, 2:4] = True
        image = grey(256, 512)
        drawn = draw(image, prediction(mask=mask), status=False)
        inside = mask.pixels(256, 512)
        assert (drawn[~inside] == 90).all()
        assert (drawn[inside] != 90).any(axis=1).all()
        assert drawn[64, 128].tolist() == drawn[127, 255].tolist() == list(COMPUTED)

    def test_a_seam_runs_between_blocks(self) -> None:
        grid = BlockGrid(height=64, width=64, block=32)
        drawn = draw(grey(256, 256), prediction(mask=grid.all()), status=False)
        plain, seam = drawn[40, 40].astype(int), drawn[40, 128].astype(int)
        assert np.abs(plain - COMPUTED).sum() > np.abs(seam - COMPUTED).sum() > 0

    def test_padding_is_not_marked(self) -> None:
        grid = Fit.make("letterbox", (100, 400), (128, 128)).grid(32)
        mask = grid.none()
        mask.active[0] = True  # above the picture
        image = grey(100, 400)
        assert (draw(image, prediction(mask=mask), status=False) == image).all()

    def test_nothing_computed_leaves_the_picture(self) -> None:
        image = grey(64, 64)
        mask = BlockGrid(height=64, width=64, block=32).none()
        assert (draw(image, prediction(mask=mask), status=False) == image).all()


class TestBoxes:
    def test_a_box_is_outlined_in_the_colour_of_its_class(self) -> None:
        drawn = draw(grey(240, 320), prediction(box(100, 100, 200, 180)), status=False)
        colour = list(class_colour(3, "thing"))
        assert drawn[140, 100].tolist() == drawn[180, 150].tolist() == colour
        assert drawn[140, 150].tolist() == [90, 90, 90]

    def test_the_label_stands_above_the_box(self) -> None:
        drawn = draw(grey(240, 320), prediction(box(100, 100, 200, 180)), status=False)
        assert (drawn[86:98, 100:150] != 90).any(axis=2).all()

    def test_at_the_top_the_label_hangs_into_the_box(self) -> None:
        drawn = draw(grey(240, 320), prediction(box(100, 0, 200, 180)), status=False)
        assert (drawn[2:12, 104:150] != 90).any(axis=2).all()

    def test_a_box_without_a_place_is_left_out(self) -> None:
        image = grey(64, 64)
        assert (draw(image, prediction(box(0, 0, np.nan, 5)), status=False) == image).all()


class TestSegments:
    def test_background_stays_as_it_is(self) -> None:
        labels = np.zeros((240, 320), np.uint8)
        labels[:, 160:] = 1
        image = grey(240, 320)
        result = Segmentation(labels, ("__background__", "dog"))
        drawn = draw(image, prediction(result), status=False)
        assert (drawn[130:, :158] == 90).all()
        blended = np.add(class_colour(1, "dog"), 90) / 2
        assert drawn[200, 300].tolist() == pytest.approx(blended, abs=1)
        assert drawn[200, 160].tolist() == list(class_colour(1, "dog"))  # the border

    def test_the_legend_names_what_is_there(self) -> None:
        labels = np.zeros((240, 320), np.uint8)
        one = draw(grey(240, 320), prediction(Segmentation(labels, ("a", "b"))), status=False)
        labels[200:] = 1
        two = draw(grey(240, 320), prediction(Segmentation(labels, ("a", "b"))), status=False)
        swatch = list(class_colour(1, "b"))
        assert not (one[:60, :60] == swatch).all(axis=2).any()
        assert (two[:60, :60] == swatch).all(axis=2).any()


class TestClasses:
    def test_a_bar_is_as_long_as_its_score(self) -> None:
        result = Classification(np.array([0, 1]), np.array([0.8, 0.2], np.float32), ("cat", "dog"))
        drawn = draw(grey(240, 320), prediction(result), status=False)
        lengths = []
        for label, name in ((0, "cat"), (1, "dog")):
            near = np.abs(drawn.astype(int) - class_colour(label, name)).sum(axis=2) < 60
            lengths.append(near.any(axis=0).sum())
        assert lengths[0] > 2 * lengths[1] > 0
