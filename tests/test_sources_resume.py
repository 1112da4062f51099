"""A source that is taken up again gives what it would have given, had nothing happened."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from pathlib import Path

import cv2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamdyn.errors import SourceError
from streamdyn.sources import Resume, Source, open_source, reconnecting
from streamdyn.sources.container import Input
from streamdyn.sources.passed import list_passed
from streamdyn.types import Frame
from tests.media_factory import damage_packets, numbered_image, truncate, write_video

OPEN_GOP = {"x264-params": "open-gop=1:scenecut=0"}
HEVC = {"x265-params": "log-level=none:open-gop=1:keyint=10:pools=none"}
LONG = range(0, 4000, 40)
UNEVEN = [0, 10, 100, 140, 200, 210, 220, 400, 440, 450, 900, 920, 960, 1900, 1920]
# What packets tell of: with these, nothing before the last key frame is decoded again.
WHOLE = {
    "b-frames.mp4": {"b_frames": 3},
    "b-frames.mkv": {"b_frames": 3},
    "uneven.mkv": {"times": UNEVEN},
    "delayed.ts": {"times": range(5000, 6200, 40), "b_frames": 2},
    "open-gop.ts": {"b_frames": 2, "options": OPEN_GOP},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "hevc.mp4": {"codec": "libx265", "b_frames": 3, "options": HEVC},
    "turned.mp4": {"rotation": 90},
    "mpeg4.avi": {"codec": "mpeg4"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime"}},
    "edited.mp4": {},
}
ODD = ("b-frames.avi", "damaged.mp4", "damaged.mkv", "cut.ts", "joined.ts", "overlapping.ts")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("files")
    for name, options in WHOLE.items():
        write_video(folder / name, **options)
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg, "these tests need ffmpeg: apt-get install ffmpeg"
    whole = write_video(folder / "whole.mp4", b_frames=2)
    cut = ["-v", "error", "-y", "-ss", "0.6", "-i", str(whole), "-c", "copy"]
    subprocess.run([ffmpeg, *cut, str(folder / "edited.mp4")], check=True)
    write_video(folder / "b-frames.avi", b_frames=2)
    for kind in ("mp4", "mkv"):
        long = write_video(folder / f"long.{kind}", times=LONG, b_frames=2)
        damage_packets(long, folder / f"damaged.{kind}", 0.05, seed=3)
    truncate(write_video(folder / "long.ts", times=LONG), folder / "cut.ts", 0.6)
    first = write_video(folder / "1.ts", times=range(10_000, 11_200, 40)).read_bytes()
    second = write_video(folder / "2.ts", times=range(0, 1200, 40), first=30).read_bytes()
    (folder / "joined.ts").write_bytes(first + second)
    third = write_video(folder / "3.ts", times=range(10_400, 12_800, 40), first=60).read_bytes()
    (folder / "overlapping.ts").write_bytes(first + third + second)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("images")
    for number in range(12):
        image = numbered_image(number, 48, 64)
        assert cv2.imwrite(str(folder / f"{number:02d}.png"), image[..., ::-1])
    (folder / "05.png").write_bytes(b"")
    return folder


selections = st.fixed_dictionaries(
    {},
    optional={
        "start": st.sampled_from([0.1, 0.37, 0.4]),
        "duration": st.sampled_from([0.5, 0.9]),
        "stride": st.integers(2, 4),
        "max_fps": st.sampled_from([5, 7.5, 12]),
        "max_frames": st.integers(3, 12),
    },
)


def what_is_seen(frame: Frame, pixels: bool = True) -> tuple[object, ...]:
    try:
        seen = frame.luma.tobytes()
    except SourceError:  # of a frame between key frames, where only these are decoded
        seen = b""
    place = frame.index, frame.pts_seconds, frame.key_frame, frame.size, frame.stream
    return (*place, seen if pixels else bool(seen))


def check(make: Source, whole: list[Frame], after: int, pixels: bool = True) -> None:
    place = Resume(whole[after].index, whole[after].pts_seconds)
    source = make.resumed(pickle.loads(pickle.dumps(place)))
    expected = [what_is_seen(frame, pixels) for frame in whole[after + 1 :]]
    assert [what_is_seen(frame, pixels) for frame in source] == expected
    assert source.report.emitted == len(expected)
    assert source.report.decoded >= source.report.emitted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    name=st.sampled_from([*WHOLE, *ODD]),
    selection=selections,
    key_frames=st.booleans(),
    after=st.floats(0, 1),
)
def test_a_file_goes_on_as_if_nothing_had_happened(
    files: Path, name: str, selection: dict[str, float], key_frames: bool, after: float
) -> None:
    source = open_source(files / name, key_frames=key_frames, **selection)
    whole = list(source)
    # What FFmpeg makes of damage depends on its threads, and on what was in memory before.
    check(source, whole, round(after * (len(whole) - 1)), pixels=not name.startswith("damaged"))


@settings(max_examples=30)
@given(selection=selections, after=st.floats(0, 1), kind=st.sampled_from(["images", "synthetic"]))
def test_images_and_scenes_go_on(
    images: Path, selection: dict[str, float], after: float, kind: str
) -> None:
    spec = images if kind == "images" else "synthetic:square?frames=40&height=16&width=16"
    source = open_source(spec, **selection)
    whole = list(source)
    check(source, whole, round(after * (len(whole) - 1)))


@pytest.mark.parametrize("name", ["car-detection.mp4", "asl-bird.mkv", "corrupted.mp4"])
def test_real_clips_go_on(media: Path, name: str) -> None:
    source = open_source(media / name, stride=7)
    whole = list(source)
    check(source, whole, 2 * len(whole) // 3, pixels=name != "corrupted.mp4")


@pytest.mark.parametrize("name", [*WHOLE, *ODD])
def test_only_what_packets_tell_is_not_decoded_again(files: Path, name: str) -> None:
    frames = list(open_source(files / name))
    last = frames[-2]
    place = Resume(last.index, last.pts_seconds)
    passed = list_passed(Input.of_file(files / name), 0.0, place)
    assert (passed is not None) == (name in WHOLE or name == "cut.ts")
    if passed is not None:
        assert passed.times == [frame.pts_seconds for frame in frames[:-1]]


def test_the_last_frame_has_nothing_after_it(files: Path) -> None:
    source = open_source(files / "b-frames.mp4")
    *_, last = source
    again = open_source(files / "b-frames.mp4", resume=Resume(last.index, last.pts_seconds))
    assert list(again) == []


def test_a_place_that_is_not_in_the_file_gives_what_has_a_higher_index(files: Path) -> None:
    source = open_source(files / "b-frames.mp4", resume=Resume(7, 0.123))
    assert [frame.index for frame in source] == list(range(8, 30))


def test_streams_of_a_list_are_taken_up_one_by_one(images: Path, tmp_path: Path) -> None:
    listing = tmp_path / "all.txt"
    listing.write_text(f"{images}\nsynthetic:square?frames=4\n")
    source = open_source(listing)
    with pytest.raises(SourceError, match="has 2 streams; take up each of them by itself"):
        source.resumed(Resume(1, 0.04))
    _, scene = source.streams
    assert [frame.index for frame in scene.resumed(Resume(1, 0.04))] == [2, 3]
    listing.write_text("synthetic:square?frames=4\n")
    assert [frame.index for frame in open_source(listing, resume=Resume(1, 0.04))] == [2, 3]


@pytest.mark.parametrize(("index", "seconds"), [(-1, 0.0), (0, float("nan"))])
def test_a_place_that_no_frame_has(index: int, seconds: float) -> None:
    with pytest.raises(SourceError, match="index and time of a frame"):
        Resume(index, seconds)


@pytest.mark.parametrize(
    "spec",
    [
        "rtsp://eve:secret@127.0.0.1/cam",
        "http://127.0.0.1/cam.mp4",
        "synthetic:square?frames=4&height=8&width=8",
        "webcam:0",
    ],
)
def test_a_source_can_be_sent_to_another_process(spec: str) -> None:
    for source in (open_source(spec), reconnecting(open_source(spec))):
        copy = pickle.loads(pickle.dumps(source))
        assert (copy.name, copy.url) == (source.name, source.url)
        copy = pickle.loads(pickle.dumps(source.resumed(Resume(3, 1.0))))
        source.stop()
        assert list(source) == []
    if "synthetic" in spec:
        assert next(iter(copy)).index > 3


def test_files_and_lists_can_be_sent_to_another_process(files: Path, images: Path) -> None:
    for spec in (files / "b-frames.mp4", images, files / "*.mkv"):
        source = open_source(spec, stride=5)
        copy = pickle.loads(pickle.dumps(source))
        assert [what_is_seen(frame) for frame in copy] == [what_is_seen(f) for f in source]


def test_a_source_that_is_stopped_ends(files: Path) -> None:
    for source in (open_source(files / "b-frames.mp4"), open_source(files / "*.mkv")):
        frames = iter(source)
        next(frames)
        source.stop()
        assert list(frames) == []
        assert source.report.decoded == source.report.emitted == 1
        assert not source.stuck
