"""Sinks: files that are whole, video in time, and errors that say what to do."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamdyn import Detections, Frame, Prediction, Segmentation, SinkError, load_results
from streamdyn.sinks import SINKS, Callback, JsonLines, Sink, Video, open_sink
from streamdyn.sinks.base import LineFile
from streamdyn.types import Result

HERE = Path(__file__).parent
FILES = ["jsonl", "csv", "parquet"]


def frame(index: int, pts_seconds: float, size: tuple[int, int] = (64, 96)) -> Frame:
    image = np.full((*size, 3), index * 20 % 256, np.uint8)
    return Frame.from_image(image, index=index, pts_seconds=pts_seconds, stream="cam")


def boxes(count: int = 2) -> Detections:
    corners = np.linspace(0, 60, count * 4, dtype=np.float32).reshape(count, 4)
    return Detections(corners, corners[:, 0] / 64, np.arange(count), ("a, b",) * count)


def prediction_of(frame: Frame, result: Result) -> Prediction:
    return Prediction(
        stream=frame.stream,
        index=frame.index,
        pts_seconds=frame.pts_seconds,
        status="computed",
        age_frames=0,
        age_seconds=0.0,
        density=1.0,
        share=1.0,
        latency_seconds=0.01,
        result=result,
    )


def feed(sink: Sink, count: int = 3, result: Result | None = None) -> None:
    for index in range(count):
        shown = frame(index, index / 25)
        sink(prediction_of(shown, boxes() if result is None else result), shown)


def feed_and_stop(sink: Sink, count: int = 3) -> None:
    """What happens when the user presses Ctrl-C."""
    with sink:
        feed(sink, count)
        raise KeyboardInterrupt


def write_without_end(path: str) -> None:
    """Run in a process of its own, which is killed."""
    LineFile.SECONDS = 0.02
    feed(JsonLines(path), count=10**9, result=boxes(500))


def write_beyond_the_limit(kind: str, folder: str) -> None:
    """Run in a process of its own, for the limit cannot be lifted again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    try:
        with open_sink(kind, folder) as sink:
            for n in range(1200):
                shown = Frame.from_image(np.roll(noise, n), index=n, pts_seconds=n / 25)
                sink(prediction_of(shown, boxes(n % 50)), shown)
    except SinkError as error:
        print(error)


def command(function: Callable[..., None], *arguments: str) -> list[str]:
    """The command that calls a function of this file in a process of its own."""
    code = f"import sys, test_sinks; test_sinks.{function.__name__}(*sys.argv[1:])"
    return [sys.executable, "-W", "error", "-c", code, *arguments]


def save_video(
    folder: Path, times: list[float], sizes: tuple[tuple[int, int], ...] = ((64, 96),)
) -> list[av.VideoFrame]:
    """The frames of an annotated video of frames at these times, of these sizes in turn."""
    with open_sink("video", folder) as sink:
        for index, pts_seconds in enumerate(times):
            shown = frame(index, pts_seconds, sizes[index % len(sizes)])
            sink(prediction_of(shown, boxes()), shown)
    with av.open(str(folder / "annotated.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        return list(container.decode(video=0))


def times_of(frames: list[av.VideoFrame]) -> list[float]:
    return [float((f.pts or 0) * (f.time_base or Fraction())) for f in frames]


class TestOpenSink:
    @pytest.mark.parametrize("kind", SINKS)
    def test_writes_its_file_in_a_new_folder(self, kind: str, tmp_path: Path) -> None:
        folder = tmp_path / "out" / "cam"
        with open_sink(kind, folder) as sink:
            feed(sink)
        assert [path.name for path in folder.iterdir()] == [SINKS[kind][1]]

    @pytest.mark.parametrize("kind", SINKS)
    def test_closing_again_is_harmless(self, kind: str, tmp_path: Path) -> None:
        with open_sink(kind, tmp_path) as sink:
            feed(sink)
            sink.close()
            written = (tmp_path / SINKS[kind][1]).read_bytes()
        assert (tmp_path / SINKS[kind][1]).read_bytes() == written

    def test_suggests_a_name(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match="did you mean jsonl"):
            open_sink("json", tmp_path)
        with pytest.raises(SinkError, match="jsonl, csv, parquet, video"):
            open_sink("xyz", tmp_path)

    @pytest.mark.parametrize("kind", SINKS)
    def test_a_file_in_the_place_of_the_folder(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "out").touch()
        with pytest.raises(SinkError, match=r"cannot write .*out/cam: Not a dir.*; choose another"):
            open_sink(kind, tmp_path / "out" / "cam")

    @pytest.mark.parametrize("kind", SINKS)
    def test_a_folder_in_the_place_of_the_file(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / SINKS[kind][1]).mkdir()
        with pytest.raises(SinkError, match=rf"{SINKS[kind][1]}: Is a directory; choose another"):
            open_sink(kind, tmp_path)

    def test_does_not_load_av_for_a_text_file(self) -> None:
        code = (
            "import sys, tempfile; from streamdyn.sinks import open_sink\n"
            "open_sink('jsonl', tempfile.mkdtemp()).close()\n"
            "assert not {'av', 'cv2', 'pyarrow', 'torch'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestCallback:
    def test_hands_over_both(self) -> None:
        seen: list[tuple[int, int]] = []
        with Callback(
            lambda prediction, frame: seen.append((prediction.index, frame.index))
        ) as sink:
            feed(sink)
        assert seen == [(0, 0), (1, 1), (2, 2)]


class TestJsonLines:
    def test_a_line_per_frame(self, tmp_path: Path) -> None:
        with open_sink("jsonl", tmp_path) as sink:
            feed(sink)
        lines = (tmp_path / "results.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [record["index"] for record in records] == [0, 1, 2]
        assert list(records[0]) == [
            *("version", "stream", "index", "pts_seconds", "status", "age_frames", "age_seconds"),
            *("density", "share", "latency_seconds", "result"),
        ]
        assert records[0]["result"]["names"] == ["a, b", "a, b"]

    def test_a_stream_name_that_is_not_utf8(self, tmp_path: Path) -> None:
        name = os.fsdecode(b"caf\xe9")
        shown = Frame.from_image(np.zeros((2, 2, 3), np.uint8), index=0, pts_seconds=0, stream=name)
        with open_sink("jsonl", tmp_path) as sink:
            sink(prediction_of(shown, boxes()), shown)
        (tmp_path / "results.jsonl").read_text(encoding="utf-8", errors="strict")
        assert load_results(tmp_path)[0].stream == name

    def test_what_a_killed_process_wrote_can_be_read(self, tmp_path: Path) -> None:
        path = tmp_path / "results.jsonl"
        process = subprocess.Popen(command(write_without_end, str(path)), cwd=HERE)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not path.exists() or path.stat().st_size < 300_000):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        predictions = load_results(path)
        assert [p.index for p in predictions] == list(range(len(predictions)))
        assert len(predictions) > 10


class TestCsv:
    def test_a_row_per_box(self, tmp_path: Path) -> None:
        with open_sink("csv", tmp_path) as sink:
            feed(sink, count=1)
            feed(sink, count=1, result=boxes(0))
        with (tmp_path / "results.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["index"], row["name"], row["x2"]) for row in rows] == [
            ("0", "a, b", "17.142857"),
            ("0", "a, b", "51.42857"),
            ("0", "", ""),
        ]


class TestParquet:
    def test_rows_are_written_in_groups(self, tmp_path: Path) -> None:
        from pyarrow import parquet

        with open_sink("parquet", tmp_path) as sink:
            feed(sink, count=1300)
        metadata = parquet.read_metadata(tmp_path / "results.parquet")
        assert [metadata.row_group(n).num_rows for n in range(3)] == [512, 512, 276]

    def test_columns_are_typed(self, tmp_path: Path) -> None:
        from pyarrow import parquet

        with open_sink("parquet", tmp_path) as sink:
            feed(sink, result=boxes(0))
        schema = parquet.read_schema(tmp_path / "results.parquet")
        assert str(schema.field("boxes").type) == "list<element: list<element: float>>"
        assert str(schema.field("index").type) == "int64"


class TestTables:
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_refuse_another_task(self, kind: str, tmp_path: Path) -> None:
        sky = Segmentation(np.zeros((2, 2), np.uint8), ("sky",))
        with open_sink(kind, tmp_path) as sink:
            feed(sink)
            with pytest.raises(SinkError, match=r"columns of detection, .* of segmentation"):
                feed(sink, result=sky)
        assert len(load_results(tmp_path)) == 3

    @pytest.mark.parametrize("kind", FILES)
    def test_are_whole_after_an_error(self, kind: str, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            feed_and_stop(open_sink(kind, tmp_path))
        assert [p.index for p in load_results(tmp_path)] == [0, 1, 2]


class TestVideo:
    @pytest.mark.parametrize("start", [0.0, 5.131, 30 * 3600.0])
    def test_keeps_a_variable_frame_rate(self, tmp_path: Path, start: float) -> None:
        steps = np.random.default_rng(0).uniform(0.005, 0.3, 40)
        times = (start + np.cumsum(steps) - steps[0]).tolist()
        assert times_of(save_video(tmp_path, times)) == pytest.approx(times, abs=1 / 90_000, rel=0)

    def test_shifts_times_before_zero(self, tmp_path: Path) -> None:
        got = times_of(save_video(tmp_path, [-1.0, -0.5, 0.7]))
        assert got == pytest.approx([0.0, 0.5, 1.7], abs=1 / 90_000)

    def test_times_that_do_not_increase(self, tmp_path: Path) -> None:
        got = times_of(save_video(tmp_path, [0.0, 0.5, 0.5, 0.4, 1.0]))
        assert got == pytest.approx([0.0, 0.5, 0.5, 0.5, 1.0], abs=3 / 90_000)
        assert sorted(set(got)) == got

    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [
            (((1, 1),), (2, 2)),
            (((17, 31),), (18, 32)),
            (((64, 96), (96, 64), (1, 1), (500, 3), (17, 31)), (64, 96)),
        ],
    )
    def test_any_size(
        self, tmp_path: Path, sizes: tuple[tuple[int, int], ...], expected: tuple[int, int]
    ) -> None:
        frames = save_video(tmp_path, [n / 25 for n in range(10)], sizes)
        assert {(f.height, f.width) for f in frames} == {expected}
        assert len(frames) == 10

    def test_another_shape_gets_bars(self, tmp_path: Path) -> None:
        with Video(tmp_path / "v.mp4") as sink:
            for index, size in enumerate([(64, 128), (64, 64)]):
                white = np.full((*size, 3), 255, np.uint8)
                shown = Frame.from_image(white, index=index, pts_seconds=float(index))
                sink(prediction_of(shown, boxes(0)), shown)
        with av.open(str(tmp_path / "v.mp4")) as container:
            picture = list(container.decode(video=0))[1].to_ndarray(format="rgb24")
        assert picture[:40, :28].max() < 20
        assert picture[:40, -28:].max() < 20
        assert picture[:40, 36:-36].min() > 235

    @pytest.mark.parametrize("colour", [(230, 40, 30), (20, 200, 60), (30, 60, 200)])
    def test_keeps_colours(self, tmp_path: Path, colour: tuple[int, int, int]) -> None:
        image = np.full((200, 200, 3), colour, np.uint8)
        shown = Frame.from_image(image, index=0, pts_seconds=0.0)
        with Video(tmp_path / "v.mp4") as sink:
            sink(prediction_of(shown, boxes(0)), shown)
        with av.open(str(tmp_path / "v.mp4")) as container:
            picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert picture[100, 100].tolist() == pytest.approx(colour, abs=4)

    def test_is_whole_after_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            feed_and_stop(open_sink("video", tmp_path), count=30)
        with av.open(str(tmp_path / "annotated.mp4")) as container:
            assert len(list(container.decode(video=0))) == 30

    def test_without_frames_there_is_no_file(self, tmp_path: Path) -> None:
        open_sink("video", tmp_path).close()
        assert list(tmp_path.iterdir()) == []

    def test_is_mp4(self, tmp_path: Path) -> None:
        with pytest.raises(SinkError, match=r"\.mp4, not as .*v\.avi"):
            Video(tmp_path / "v.avi")


class TestDiskFull:
    @pytest.mark.parametrize("kind", FILES)
    def test_device_without_room(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / SINKS[kind][1]).symlink_to("/dev/full")
        sink = open_sink(kind, tmp_path)
        feed(sink)
        with pytest.raises(SinkError, match=r"results\.\w+: No space left on device; make room"):
            sink.close()
        sink.close()

    @pytest.mark.parametrize("kind", SINKS)
    def test_no_more_room(self, kind: str, tmp_path: Path) -> None:
        run = subprocess.run(
            command(write_beyond_the_limit, kind, str(tmp_path)),
            cwd=HERE,
            capture_output=True,
            text=True,
            check=True,
        )
        path = tmp_path / SINKS[kind][1]
        assert run.stdout == (
            f"cannot write {path}: File too large; make room, or choose another folder\n"
        )
        assert run.stderr == ""
        if kind in ("jsonl", "csv"):
            assert 10 < len(load_results(path)) < 1200
