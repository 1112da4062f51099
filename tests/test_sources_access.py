"""Frames at given times: the same as in reading from the beginning, whatever the backend."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from streamdyn.errors import SourceError
from streamdyn.sources import open_clip, open_source
from streamdyn.sources.access import Backend
from streamdyn.types import Frame
from tests.media_factory import damage_packets, read_number, write_video

LONG = range(0, 8000, 40)
OPEN_GOP = {"x264-params": "open-gop=1:scenecut=0"}
VIDEOS = {
    "plain.mp4": {"times": LONG},
    "b-frames.mp4": {"times": LONG, "b_frames": 3},
    "b-frames.mkv": {"times": LONG, "b_frames": 3},
    "open-gop.ts": {"times": LONG, "b_frames": 2, "options": OPEN_GOP},
    "one-gop.mp4": {"times": LONG, "gop": 1000, "b_frames": 2},
    "delayed.mkv": {"times": range(5000, 9000, 40)},
    "delayed.mp4": {"times": range(5000, 9000, 40), "b_frames": 2},
    "uneven.mp4": {"times": [0, 10, 100, 140, 900, 1900, 1920, 4000], "b_frames": 2},
    "turned.mp4": {"rotation": 180},
}
BACKENDS: list[Backend] = ["pyav", "decord", "torchcodec"]


@pytest.fixture(scope="module", params=VIDEOS)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("clips") / request.param
    return write_video(path, **VIDEOS[request.param])


def shown_at(frames: list[Frame], seconds: float) -> Frame:
    """What a player shows: the slow twin of frames_at."""
    shown = [frame for frame in frames if frame.pts_seconds <= seconds + 1e-6]
    return shown[-1] if shown else frames[0]


def same(one: Frame, other: Frame, tolerance: int = 2) -> bool:
    difference = np.abs(one.image.astype(int) - other.image)
    return (
        (one.index, one.pts_seconds, one.size, one.stream)
        == (other.index, other.pts_seconds, other.size, other.stream)
    ) and bool(difference.max() <= tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_at_any_times(video: Path, backend: Backend) -> None:
    frames = list(open_source(video))
    chance = random.Random(0)
    end = frames[-1].pts_seconds
    if "open" in video.name and backend != "pyav":
        with pytest.raises(SourceError, match="groups of pictures overlap"):
            open_clip(video, backend)
        return
    times = [chance.uniform(frames[0].pts_seconds - 0.5, end + 0.5) for _ in range(12)]
    times += [frame.pts_seconds for frame in chance.sample(frames, 4)] + [times[0]]
    clip = open_clip(video, backend)
    assert len(clip) == len(frames)
    assert clip.times.tolist() == [frame.pts_seconds for frame in frames]
    got = clip.frames_at(times)
    assert len(got) == len(times)
    for seconds, frame in zip(times, got, strict=True):
        assert same(frame, shown_at(frames, seconds)), seconds
    assert got[-1] is got[0]


def test_every_single_frame(video: Path) -> None:
    """Each alone, so that each is a seek of its own."""
    frames = list(open_source(video))
    clip = open_clip(video)
    for expected in frames[::7]:
        (frame,) = clip.frames_at([expected.pts_seconds])
        assert same(frame, expected, tolerance=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["car-detection.mp4", "asl-again.mkv", "rotated-90.mov"])
def test_real_clips(media: Path, name: str, backend: Backend) -> None:
    source = open_source(media / name, max_frames=150)
    frames = list(source)
    times = [frame.pts_seconds + 0.01 for frame in frames[::40]]
    for frame, expected in zip(
        open_clip(media / name, backend).frames_at(times), frames[::40], strict=True
    ):
        assert same(frame, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_times_rounded_to_microseconds_give_the_frame_they_were_made_of(
    tmp_path: Path, backend: Backend
) -> None:
    path = write_video(tmp_path / "thirds.mp4", times=[round(n * 1000 / 30) for n in range(30)])
    clip = open_clip(path, backend)
    frames = clip.frames_at([round(float(time), 6) for time in clip.times])
    assert [read_number(frame.luma) for frame in frames] == list(range(30))


def test_more_than_eight_bits(tmp_path: Path) -> None:
    path = write_video(tmp_path / "deep.mp4", pixel_format="yuv420p10le")
    ours, theirs = (open_clip(path, name).frames_at([0.4]) for name in ("pyav", "torchcodec"))
    error = np.abs(ours[0].image.astype(int) - theirs[0].image)
    assert error.mean() < 1  # FFmpeg's own versions interpolate the chroma a little differently


@pytest.mark.parametrize("backend", ["decord", "torchcodec"])
def test_what_a_backend_would_show_wrongly_is_refused(tmp_path: Path, backend: Backend) -> None:
    path = write_video(tmp_path / "flat.mp4")
    data = path.read_bytes()
    one = (1 << 16).to_bytes(4, "big")
    place = data.index(one + bytes(12) + one, data.index(b"tkhd"))
    mirrored = data[:place] + (-(1 << 16)).to_bytes(4, "big", signed=True) + data[place + 4 :]
    path.write_bytes(mirrored)
    expected = list(open_source(path))[10]
    assert same(open_clip(path).frames_at([0.4])[0], expected, tolerance=0)
    with pytest.raises(SourceError, match="use the backend 'pyav'"):
        open_clip(path, backend)


def test_what_is_damaged_shows_the_frame_before(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", times=LONG, options={"x264-params": "ref=1"})
    damaged = tmp_path / "damaged.mp4"
    damage_packets(whole, damaged, 0.02)
    decoded = list(open_source(damaged))
    assert len(decoded) < len(LONG)
    clip = open_clip(damaged)
    assert len(clip) == len(LONG)
    for seconds, frame in zip(clip.times, clip.frames_at(clip.times.tolist()), strict=True):
        expected = shown_at(decoded, seconds)
        assert frame.pts_seconds == expected.pts_seconds
        assert read_number(frame.luma) == read_number(expected.luma)


def test_a_video_without_presentation_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no times to find frames by"):
        open_clip(write_video(tmp_path / "b.avi", b_frames=2))
    clip = open_clip(write_video(tmp_path / "a.avi"))
    assert [read_number(frame.luma) for frame in clip.frames_at(clip.times[[27, 0]])] == [27, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_mistakes(tmp_path: Path, backend: Backend) -> None:
    with pytest.raises(SourceError, match="there is no"):
        open_clip(tmp_path / "none.mp4", backend)
    text = tmp_path / "text.mp4"
    text.write_text("this is no video")
    with pytest.raises(SourceError, match="no video that FFmpeg knows"):
        open_clip(text, backend)
    clip = open_clip(write_video(tmp_path / "a.mp4"), backend)
    with pytest.raises(ValueError, match="times must be numbers"):
        clip.frames_at([0.1, float("nan")])
    assert clip.frames_at([]) == []


def test_a_backend_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4")
    with pytest.raises(SourceError, match="there is no backend 'opencv'"):
        open_clip(path, "opencv")  # type: ignore[arg-type]  # the mistake under test
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(SourceError, match=r"pip install 'streamdyn\[decord\]'"):
        open_clip(path, "decord")
