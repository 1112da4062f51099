"""The picture of a stream: which frames it shows, and what it remembers."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import BlockGrid, Detections, Frame, Prediction, Segmentation
from streamdyn.overlay.palette import COMPUTED, NIGHT, REUSED
from streamdyn.picture import ContactSheet
from streamdyn.picture.sheet import KEPT, SPANS
from streamdyn.picture.timeline import Timeline
from streamdyn.types import Result
from tests.predictions_kit import a_prediction

GRID = BlockGrid(height=64, width=96, block=32)
NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ()
)
IMAGE = np.full((64, 96, 3), 90, np.uint8)


def prediction_of(frame: Frame, blocks: int, result: Result = NOTHING) -> Prediction:
    """A prediction of which so many of the six blocks were computed."""
    mask = GRID.none()
    mask.active.flat[:blocks] = True
    where = {"index": frame.index, "pts_seconds": frame.pts_seconds}
    share = {"density": mask.density, "share": mask.density, "mask": mask}
    reused = {} if blocks else {"status": "reused", "age_frames": 1, "age_seconds": 0.04}
    return a_prediction(result, **where, **share, **reused)


def feed(
    sheet: ContactSheet,
    blocks: list[int],
    image: np.ndarray = IMAGE,
    result: Result = NOTHING,
    stream: str = "cam",
) -> None:
    for index, computed in enumerate(blocks):
        frame = Frame.from_image(image, index=index, pts_seconds=index / 25, stream=stream)
        sheet(prediction_of(frame, computed, result), frame)


def shown(sheet: ContactSheet) -> list[int]:
    return [shot.prediction.index for shot in sheet.shots]


class TestContactSheet:
    @pytest.mark.parametrize("frames", [1, KEPT, KEPT + 1, 100, 1000])
    def test_few_shots_are_evenly_spread(self, frames: int) -> None:
        sheet = ContactSheet()
        feed(sheet, [6] * frames)
        indices = shown(sheet)
        assert min(frames, KEPT // 2) <= len(indices) <= KEPT
        assert len(set(np.diff(indices))) <= 1
        assert indices[0] == 0
        assert len(sheet.timeline.spans) <= SPANS

    def test_prefers_frames_that_were_computed_in_part(self) -> None:
        sheet = ContactSheet()
        feed(sheet, [2 if index % 7 == 3 else 0 for index in range(1000)])
        assert all(index % 7 == 3 for index in shown(sheet))

    def test_reads_few_pictures(self) -> None:
        class Counted:
            read = 0

            def luma(self) -> np.ndarray:
                raise AssertionError("nobody needs it")

            def image(self) -> np.ndarray:
                Counted.read += 1
                return IMAGE

            def motion(self) -> None: ...

        sheet = ContactSheet()
        for index in range(5000):
            frame = Frame(
                Counted(), index=index, pts_seconds=index / 25, size=(64, 96), stream="cam"
            )
            sheet(prediction_of(frame, index % 3), frame)
        # The first KEPT, then half as many whenever the stream has become twice as long.
        assert KEPT <= Counted.read < KEPT * (1 + math.log2(5000 / KEPT) / 2) + 1
        assert Counted.read < 70

    def test_lets_go_of_frames_that_wait(self) -> None:
        large = np.full((640, 1120, 3), 90, np.uint8)
        labels = np.zeros((640, 1120), np.uint8)
        sheet = ContactSheet()
        feed(sheet, [6] * 40, large, Segmentation(labels, ("street",)))
        *waiting, last = sheet.shots
        assert {shot.frame.size for shot in waiting} == {(320, 560)}
        assert {shot.prediction.result.labels.shape for shot in waiting} == {(320, 560)}
        assert last.frame.index == last.prediction.index

    def test_writes_a_picture_with_the_frames(self, tmp_path: Path) -> None:
        sheet = ContactSheet()
        labels = np.zeros((64, 96), np.uint8)
        feed(sheet, [6, 2, 0, 1] * 10, result=Segmentation(labels, ("street",)))
        sheet.write(tmp_path / "overview.png")
        picture = cv2.imread(str(tmp_path / "overview.png"))[..., ::-1]
        assert picture[0, 0].tolist() == list(NIGHT)
        for colour in (COMPUTED, REUSED):
            assert np.count_nonzero((picture == colour).all(axis=2)) > 100

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("size", [(1, 1), (17, 31), (2000, 3), (3, 2000), (640, 360)])
    def test_any_size_and_name(self, tmp_path: Path, size: tuple[int, int]) -> None:
        sheet = ContactSheet()
        image = np.zeros((*size, 3), np.uint8)
        box = np.array([[0, 0, *size[::-1]]], np.float32)
        result = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64), ("猫",))
        feed(sheet, [6, 0, 2], image, result, stream="猫 $x_$ [b]\udcff")
        sheet.write(tmp_path / "overview.png")
        assert cv2.imread(str(tmp_path / "overview.png")).shape[1] > 1000

    def test_boxes_are_drawn_at_the_scale_of_the_shot(self) -> None:
        large = np.full((640, 1120, 3), 90, np.uint8)
        box = np.array([[100, 100, 1000, 500]], np.float32)
        sheet = ContactSheet()
        feed(sheet, [0], large, Detections(box, np.ones(1, np.float32), np.zeros(1, int), ("a",)))
        sheet.shots[0].shrink()
        image = sheet.shots[0].draw()
        assert image.shape == (320, 560, 3)
        painted = np.argwhere((image != 90).any(axis=2))
        assert painted.min(axis=0)[1] == pytest.approx(50, abs=3)
        assert painted.max(axis=0).tolist() == pytest.approx([250, 500], abs=3)

    def test_no_frames_no_picture(self, tmp_path: Path) -> None:
        ContactSheet().write(tmp_path / "overview.png")
        assert list(tmp_path.iterdir()) == []

    def test_unwritable(self, tmp_path: Path) -> None:
        sheet = ContactSheet()
        feed(sheet, [6])
        with pytest.raises(FileNotFoundError, match=r"overview\.png"):
            sheet.write(tmp_path / "gone" / "overview.png")


class TestTimeline:
    @given(st.lists(st.integers(0, 6), min_size=1, max_size=300), st.integers(1, 9))
    def test_loses_nothing(self, blocks: list[int], most: int) -> None:
        timeline = Timeline(most)
        for index, computed in enumerate(blocks):
            frame = Frame.from_image(IMAGE, index=index, pts_seconds=float(index))
            timeline.add(prediction_of(frame, computed))
        total = timeline.total()
        assert len(timeline.spans) <= most
        assert total.frames == len(blocks)
        assert total.computed == sum(map(bool, blocks))
        assert total.density == pytest.approx(sum(blocks) / 6)
        assert total.peak == max(blocks) / 6
        assert (total.start_seconds, total.end_seconds) == (0.0, len(blocks) - 1.0)
        starts = [span.start_seconds for span in timeline.spans]
        assert starts == np.cumsum([0, *(s.frames for s in timeline.spans[:-1])]).tolist()
        assert len({span.frames for span in timeline.spans[:-1]}) <= 1
