"""From the folder of a run to a video or a sheet, and the command that draws them."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamdyn import Pipeline, SourceError, load_policy
from streamdyn.cli import main
from streamdyn.sinks import open_sink
from streamdyn.sources import open_source
from streamdyn.testing import StillModel
from streamdyn.types import read_only
from streamdyn.view import Run, draw_sheet, draw_video, parse_panels
from streamdyn.view.layout import WIDEST, Layout
from tests.view_kit import NOTHING, frame_of

CLIP = "synthetic:square?height=96&width=160&frames=8"


def run_of(folder: Path, policy: str = "Change(threshold=6)", source: str = CLIP) -> Path:
    """The folder of the results of a run, as the command leaves them."""
    (stream,) = open_source(source).streams
    with open_sink("jsonl", folder / stream.name) as sink:
        for frame, prediction in Pipeline(StillModel(NOTHING), load_policy(policy)).pairs(stream):
            sink(prediction, frame)
    entry = {"stream": stream.name, "source": stream.url}
    (folder / "summary.json").write_text(json.dumps({"streams": [entry]}))
    return folder / stream.name


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
