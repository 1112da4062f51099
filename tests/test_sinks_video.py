"""Annotated video: every frame, at its time, in the size of the source."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamdyn import Frame, SinkError
from streamdyn.sinks import Video, open_sink
from tests.sinks_kit import boxes, feed_and_stop, frame, prediction_of


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
