"""Video files: every frame, at the container's time, however the file is made."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from streamdyn.errors import SourceError
from streamdyn.sources import open_source
from streamdyn.sources.mp4 import lacks_index
from tests.media_factory import packet_times, read_number, truncate, write_video

DELAYED = range(5000, 6200, 40)
UNEVEN = [0, 10, 100, 140, 900, 1900, 1920, 4000]


VIDEOS = {
    "plain.mp4": {},
    "b-frames.mp4": {"b_frames": 3},
    "b-frames.mkv": {"b_frames": 3},
    "b-frames.ts": {"b_frames": 3},
    "open-gop.ts": {"b_frames": 2, "options": {"x264-params": "open-gop=1:scenecut=0"}},
    "uneven.mp4": {"times": UNEVEN, "b_frames": 2},
    "uneven.mkv": {"times": UNEVEN},
    "delayed.mp4": {"times": DELAYED, "b_frames": 2},
    "delayed.mkv": {"times": DELAYED},
    "delayed.ts": {"times": DELAYED},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mpeg4.avi": {"codec": "mpeg4"},
    "hevc.mp4": {
        "codec": "libx265",
        "b_frames": 3,
        "options": {"x265-params": "log-level=none:open-gop=1:keyint=10:pools=none"},
    },
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime"}},
}


@pytest.fixture(scope="module", params=VIDEOS)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("videos") / request.param
    return write_video(path, **VIDEOS[request.param])


def probed_times(path: Path) -> list[float]:
    """The times of the frames as ffprobe sees them."""
    ffprobe = shutil.which("ffprobe")
    assert ffprobe, "these tests need ffprobe: apt-get install ffmpeg"
    command = [ffprobe, "-v", "error", "-select_streams", "v:0", "-of", "json"]
    show = ["-show_entries", "frame=best_effort_timestamp_time"]
    done = subprocess.run([*command, *show, str(path)], capture_output=True, check=True)
    frames = json.loads(done.stdout)["frames"]
    return [float(frame["best_effort_timestamp_time"]) for frame in frames]


def test_every_frame_comes_in_order(video: Path) -> None:
    frames = list(open_source(video))
    expected = len(VIDEOS[video.name].get("times", range(30)))
    assert [read_number(frame.luma) for frame in frames] == list(range(expected))
    assert [frame.index for frame in frames] == list(range(expected))
    assert {frame.stream for frame in frames} == {video.stem}


def test_times_are_those_of_the_container(video: Path) -> None:
    times = [frame.pts_seconds for frame in open_source(video)]
    assert times == packet_times(video)
    assert times == pytest.approx(probed_times(video), abs=1e-6)


def test_nothing_is_reported_of_a_whole_file(video: Path) -> None:
    source = open_source(video)
    count = sum(1 for _ in source)
    assert source.report.decoded == source.report.emitted == count
    assert source.report.damage == []
    assert source.report.corrupt == source.report.dropped == 0


@pytest.mark.parametrize("start", [0.3, 0.41, 0.8, 1.12])
def test_start_seeks_to_the_very_frame(video: Path, start: float) -> None:
    whole = [(frame.pts_seconds, read_number(frame.luma)) for frame in open_source(video)]
    frames = list(open_source(video, start=start))
    expected = [entry for entry in whole if entry[0] >= whole[0][0] + start - 1e-6]
    assert [(frame.pts_seconds, read_number(frame.luma)) for frame in frames] == expected
    assert frames[0].index == 0


def test_a_video_can_be_read_twice_and_left_early(video: Path) -> None:
    source = open_source(video)
    first = next(iter(source))
    assert source.report.emitted == 1
    again = list(source)
    assert again[0].pts_seconds == first.pts_seconds
    assert source.report.emitted == len(again)


def test_leaving_early_again_and_again_leaves_nothing_open(video: Path) -> None:
    def count() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    before = count()
    for live in (None, True):
        for _ in range(5):
            assert next(iter(open_source(video, live=live))).index == 0
    assert count() == before


def test_b_frames_in_avi_have_only_decoding_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "b.avi", b_frames=2)
    frames = list(open_source(path))
    assert [read_number(frame.luma) for frame in frames] == list(range(30))
    np.testing.assert_allclose(np.diff([frame.pts_seconds for frame in frames]), 0.04)


def test_edit_lists_are_followed(tmp_path: Path) -> None:
    source = write_video(tmp_path / "whole.mp4", b_frames=2)
    cut = tmp_path / "cut.mp4"
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg, "this test needs ffmpeg: apt-get install ffmpeg"
    command = [ffmpeg, "-v", "error", "-ss", "0.6", "-i", str(source), "-c", "copy", str(cut)]
    subprocess.run(command, check=True)
    assert b"elst" in cut.read_bytes()
    report = open_source(cut)
    frames = list(report)
    assert [read_number(frame.luma) for frame in frames] == list(range(15, 30))
    assert [frame.pts_seconds for frame in frames] == pytest.approx(probed_times(cut), abs=1e-6)
    assert report.report.damage == []


def test_size_may_change_in_the_middle(tmp_path: Path) -> None:
    first = write_video(tmp_path / "1.ts", size=(48, 64), times=range(0, 400, 40))
    second = write_video(
        tmp_path / "2.ts",
        size=(64, 96),
        pixel_format="yuv422p",
        times=range(400, 800, 40),
        first=10,
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    frames = list(open_source(joined))
    assert [read_number(frame.luma) for frame in frames] == list(range(20))
    assert [frame.size for frame in frames] == [(48, 64)] * 10 + [(64, 96)] * 10
    assert all(frame.image.shape == (*frame.size, 3) for frame in frames)


def test_time_goes_on_where_recordings_are_joined(tmp_path: Path) -> None:
    first = write_video(tmp_path / "1.ts", times=range(10_000, 11_200, 40))
    second = write_video(tmp_path / "2.ts", times=range(0, 1200, 40), first=30)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    source = open_source(joined)
    frames = list(source)
    assert source.report.damage == []
    assert [read_number(frame.luma) for frame in frames] == list(range(60))
    steps = np.diff([frame.pts_seconds for frame in frames])
    assert (steps > 0).all()
    assert np.count_nonzero(~np.isclose(steps, 0.04)) <= 2


@pytest.mark.parametrize(
    "name", ["car-detection.mp4", "asl-again.mkv", "asl-help.mkv", "rotated-90.mov"]
)
def test_real_clips(media: Path, name: str) -> None:
    source = open_source(media / name)
    times = [frame.pts_seconds for frame in source]
    assert times == packet_times(media / name)
    assert times == pytest.approx(probed_times(media / name), abs=1e-6)
    assert source.report.damage == []


def test_info(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam 1.mp4", times=DELAYED)
    info = open_source(path).info()
    assert (info.name, info.url, info.live) == ("cam_1", str(path), False)
    assert (info.codec, info.pixel_format, info.size) == ("h264", "yuv420p", (48, 64))
    assert info.claimed_fps == pytest.approx(25)
    assert info.claimed_frames == 30
    assert info.claimed_seconds == pytest.approx(1.2, abs=0.05)
    assert info.live_reason == "a file"


@pytest.mark.parametrize("box", [b"moov", b"mvhd", b"trak", b"mdia", b"stbl", b"stsd", b"stsz"])
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}], ids=["last", "first"])
def test_an_index_that_was_cut_off_is_named(
    tmp_path: Path, box: bytes, options: dict[str, str]
) -> None:
    """FFmpeg has other words for each place of the cut, "end of file" among them."""
    data = write_video(tmp_path / "a.mp4", container_options=options).read_bytes()
    end = data.index(box, data.index(b"moov")) + len(box)
    for more in (0, 4, 16):
        cut = tmp_path / f"{more}.mp4"
        cut.write_bytes(data[: end + more])
        with pytest.raises(SourceError, match=r"no index .*, or only a part .*; copy it again"):
            open_source(cut).info()


def test_a_whole_index_is_not_blamed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    assert not lacks_index(path)
    data = path.read_bytes()
    codec = path.with_name("codec.mp4")
    codec.write_bytes(data.replace(b"avc1", b"zzzz"))
    with pytest.raises(SourceError, match="does not know the codec"):
        open_source(codec).info()
    large = path.with_name("large.mp4")  # a box with its size in eight bytes comes first
    free = b"\0\0\0\x01free" + (24).to_bytes(8) + bytes(8)
    large.write_bytes(data[:32] + free + data[32:])
    assert not lacks_index(large)
    large.write_bytes(data[:32] + free)
    assert lacks_index(large)


def test_a_matroska_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", times=range(0, 8000, 40))
    with pytest.raises(SourceError, match="it was cut off, or its disk has a bad spot; copy it"):
        open_source(truncate(whole, tmp_path / "cut.mkv", 0.02)).info()


def test_fps_is_refused_where_it_would_do_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="fps is for image sequences"):
        open_source(write_video(tmp_path / "a.mp4"), fps=10)
