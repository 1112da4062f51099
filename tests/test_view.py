"""Runs drawn afterwards: what was known of each block, which moments are shown, and the files."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streamdyn import (
    BlockGrid,
    BlockMask,
    Detections,
    Frame,
    Pipeline,
    SinkError,
    SourceError,
    load_policy,
)
from streamdyn.cli import main
from streamdyn.overlay.age import STEPS, age_colour, paint_age_scale, paint_ages
from streamdyn.records import Decision
from streamdyn.sinks import open_sink
from streamdyn.sources import open_source
from streamdyn.testing import StillModel
from streamdyn.types import Prediction, read_only
from streamdyn.view import LAYERS, Run, draw_sheet, draw_video, parse_panels
from streamdyn.view.history import Ages, History
from streamdyn.view.layout import WIDEST, Layout, columns_of
from streamdyn.view.panels import Scene
from streamdyn.view.survey import Survey

GRID = BlockGrid(height=96, width=160, block=32)  # that of StillModel
CLIP = "synthetic:square?height=96&width=160&frames=8"
NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ()
)
many_masks = st.lists(hnp.arrays(np.bool_, GRID.shape), max_size=6).map(
    lambda later: [GRID.all(), *(BlockMask(GRID, active) for active in later)]
)


def frame_of(index: int, size: tuple[int, int] = (96, 160)) -> Frame:
    image = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
    return Frame.from_image(image, index=index, pts_seconds=index / 25, stream="cam")


def mask_of(blocks: int) -> BlockMask:
    mask = GRID.none()
    mask.active.flat[:blocks] = True
    return mask


def survey_of(*blocks: int) -> Survey:
    """Of frames in which so many of the 15 blocks were computed."""
    return Survey(Decision("cam", i, i / 25, mask_of(count)) for i, count in enumerate(blocks))


def prediction_of(index: int, mask: BlockMask) -> Prediction:
    return Prediction(
        stream="cam",
        index=index,
        pts_seconds=index / 25,
        status="computed" if mask else "reused",
        age_frames=0,
        age_seconds=0.0,
        density=mask.density,
        share=mask.density,
        latency_seconds=0.01,
        result=NOTHING,
        mask=mask,
    )


def run_of(folder: Path, policy: str = "Change(threshold=6)", source: str = CLIP) -> Path:
    """The folder of the results of a run, as the command leaves them."""
    (stream,) = open_source(source).streams
    with open_sink("jsonl", folder / stream.name) as sink:
        for frame, prediction in Pipeline(StillModel(NOTHING), load_policy(policy)).pairs(stream):
            sink(prediction, frame)
    entry = {"stream": stream.name, "source": stream.url}
    (folder / "summary.json").write_text(json.dumps({"streams": [entry]}))
    return folder / stream.name


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


class TestRun:
    def test_finds_its_source(self, tmp_path: Path) -> None:
        folder = run_of(tmp_path)
        for results in (folder, folder / "results.jsonl"):
            run = Run.open(results)
            assert run.source.url == CLIP
            assert [(f.index, p.index) for f, p in run.pairs()] == [(i, i) for i in range(8)]

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            (None, "does not say which video .*--source VIDEO"),
            ("rtsp://***@cam/door", "password is not kept.*--source"),
            ("moved.mp4", "is of moved.mp4, .* --source VIDEO"),
        ],
    )
    def test_asks_for_a_source(self, source: str | None, says: str, tmp_path: Path) -> None:
        folder = run_of(tmp_path)
        entry = {"stream": "square", "source": source}
        (tmp_path / "summary.json").write_text(json.dumps({"streams": [entry]}))
        with pytest.raises(SourceError, match=says):
            Run.open(folder)
        (tmp_path / "summary.json").write_text("[]")
        with pytest.raises(SourceError, match="does not say which video"):
            Run.open(folder)
        assert len(list(Run.open(folder, CLIP).pairs())) == 8

    def test_pairs_by_time(self, tmp_path: Path) -> None:
        results = tmp_path / "square"
        every_third = open_source(CLIP, stride=3)
        with open_sink("jsonl", results) as sink:
            for frame, prediction in Pipeline(StillModel(NOTHING), load_policy("All")).pairs(
                every_third
            ):
                sink(prediction, frame)
        pairs = [(f.pts_seconds, p.pts_seconds) for f, p in Run.open(results, CLIP).pairs()]
        assert len(pairs) == 3
        assert all(frame == prediction for frame, prediction in pairs)

    @pytest.mark.parametrize("other", ["frames=5", "frames=8&fps=10"])
    def test_another_video_is_told(self, other: str, tmp_path: Path) -> None:
        folder = run_of(tmp_path)
        clip = f"synthetic:square?height=96&width=160&{other}"
        with pytest.raises(SourceError, match=r"has frame \d at 0\.\d+ s, .* another video"):
            list(Run.open(folder, clip).pairs())

    def test_several_streams_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "list.txt").write_text(f"{CLIP}\n{CLIP}\n")
        with pytest.raises(SourceError, match="of one stream"):
            Run.open(run_of(tmp_path), str(tmp_path / "list.txt"))

    def test_a_live_source_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="is live, and its frames are gone"):
            Run.open(run_of(tmp_path), "udp://127.0.0.1:9")


class TestFiles:
    def test_a_video_has_every_frame_at_its_time(self, tmp_path: Path) -> None:
        run = Run.open(run_of(tmp_path))
        seen: list[int] = []
        draw_video(run, parse_panels("results,age"), tmp_path / "v.mp4", lambda: seen.append(1))
        with av.open(str(tmp_path / "v.mp4")) as container:
            frames = list(container.decode(video=0))
        times = [frame.pts_seconds for frame, _ in run.pairs()]
        assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3)
        assert len(seen) == 8

    @pytest.mark.parametrize("size", [(1, 1), (31, 17), (96, 160)])
    @pytest.mark.parametrize("kind", ["mp4", "png"])
    def test_any_size(self, kind: str, size: tuple[int, int], tmp_path: Path) -> None:
        for index in range(3):
            rgb = frame_of(index, size).image
            cv2.imwrite(str(tmp_path / f"f{index}.png"), read_only(rgb))
        source = str(tmp_path / "f%d.png")
        run = Run.open(run_of(tmp_path / "out", "Interval(every=2)", source), source)
        draw = draw_video if kind == "mp4" else draw_sheet
        path = tmp_path / f"view.{kind}"
        draw(run, parse_panels("frame,results,mask,reference,age"), path)
        capture = cv2.VideoCapture(str(path)) if kind == "mp4" else None
        picture = capture.read()[1] if capture else cv2.imread(str(path))
        assert picture.shape[1] <= WIDEST + 1
        assert picture.std() > 5

    def test_a_sheet_shows_the_reference_of_its_moments(self, tmp_path: Path) -> None:
        """Nothing is computed after the first frame: all its moments have the same reference."""
        run = Run.open(run_of(tmp_path, "First"))
        draw_sheet(run, parse_panels("reference"), tmp_path / "sheet.png")
        sheet = cv2.imread(str(tmp_path / "sheet.png"))
        assert list(run.survey.telling()) == [0, 7]
        layout = Layout([("reference",)], (96, 160), 1, (7, 0.28))
        height = layout.size[0]
        below = len(sheet) - 8
        last = sheet[below - height : below]
        caption = len(layout.caption("x"))
        first = sheet[below - 2 * height - caption : below - height - caption]
        np.testing.assert_array_equal(first, last)
        assert first.std() > 5


class TestCommand:
    def run(self, *words: object) -> int:
        return main(["view", *map(str, words)])

    def test_draws_beside_the_results(self, tmp_path: Path, capsys) -> None:
        folder = run_of(tmp_path)
        assert self.run(folder) == 0
        assert (folder / "view.mp4").stat().st_size > 1000
        assert capsys.readouterr().out == f"square: 8 frames, drawn to {folder / 'view.mp4'}\n"

    def test_draws_a_sheet(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "sheet.png"
        assert self.run(run_of(tmp_path), "-o", path, "--show", "results+mask") == 0
        assert cv2.imread(str(path)) is not None

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("-o", "view.gif"), "as .mp4 or .png, not as 'view.gif'"),
            (("--show", "ages"), "there is no layer 'ages'"),
        ],
    )
    def test_a_wrong_command_line(self, words, says: str, tmp_path: Path, capsys) -> None:
        with pytest.raises(SystemExit) as stop:
            self.run(run_of(tmp_path), *words)
        assert stop.value.code == 2
        assert says in capsys.readouterr().err

    def test_results_without_masks(self, tmp_path: Path, capsys) -> None:
        path = run_of(tmp_path) / "results.jsonl"
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for record in records:
            del record["mask"]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        assert self.run(path) == 1
        assert "does not say which blocks were computed" in capsys.readouterr().err
