"""Key frames without decoding: every frame still comes, and only key frames have pixels."""

from pathlib import Path

import av
import numpy as np
import pytest

from streamdyn import Frame, Pipeline, SourceError, load_results, open_source
from streamdyn.cli import main
from streamdyn.policies import Change, Interval, KeyFrames
from streamdyn.testing import StillModel
from tests.media_factory import write_video

OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:bframes=3:scenecut=0:b-adapt=0"}


def places(frames: list[Frame]) -> list[tuple[int, float, tuple[int, int]]]:
    return [(frame.index, frame.pts_seconds, frame.size) for frame in frames]


def has_pixels(frame: Frame) -> bool:
    try:
        return bool(frame.luma.size)
    except SourceError:
        return False


@pytest.mark.parametrize("selection", [{}, {"start": 0.5}, {"stride": 5}, {"max_frames": 7}])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("flat.mp4", {}),
        ("b_frames.mp4", {"b_frames": 3}),
        ("b_frames.mkv", {"b_frames": 3}),
        ("b_frames.ts", {"b_frames": 3}),
        ("open.mp4", {"b_frames": 3, "options": OPEN_GOP}),
        ("hevc.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
        ("turned.mp4", {"rotation": 90}),
        ("uneven.mkv", {"times": [0, 40, 90, 200, 210, 400, 440, 600, 610, 620, 900, 1000]}),
    ],
)
def test_the_frames_are_those_of_a_whole_decode(tmp_path, name, options, selection):
    path = write_video(tmp_path / name, **options)
    whole = list(open_source(path, **selection))
    keys = list(open_source(path, key_frames=True, **selection))
    assert places(keys) == places(whole)
    assert [frame.key_frame for frame in keys] == [frame.key_frame for frame in whole]
    for n, (key, frame) in enumerate(zip(keys, whole, strict=True)):
        assert has_pixels(key) == (n == 0 or frame.key_frame)
        if has_pixels(key):
            np.testing.assert_array_equal(key.image, frame.image)


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg", "libx264"])
def test_where_packets_do_not_tell_everything_is_decoded(tmp_path, codec):
    """Packets of AVI have no presentation time, and those of other codecs may show nothing."""
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    b_frames = 3 if codec == "libx264" else 0
    path = write_video(
        tmp_path / "clip.avi", codec=codec, pixel_format=pixel_format, b_frames=b_frames
    )
    keys = list(open_source(path, key_frames=True))
    assert places(keys) == places(list(open_source(path)))
    assert all(has_pixels(frame) for frame in keys)


def test_a_picture_that_is_not_there_says_why(tmp_path):
    _, second, *_ = open_source(write_video(tmp_path / "clip.mp4"), key_frames=True)
    for read in (lambda: second.luma, lambda: second.image):
        with pytest.raises(SourceError, match="opened with key_frames=True"):
            read()
    assert second.motion is None


def test_a_damaged_key_frame_is_reported(tmp_path):
    path = write_video(tmp_path / "clip.mkv")
    whole = [frame.pts_seconds for frame in open_source(path) if frame.key_frame]
    data = bytearray(path.read_bytes())
    start = packet_place(path, whole[1])
    data[start + 40 : start + 70] = bytes(30)
    path.write_bytes(data)
    source = open_source(path, key_frames=True)
    frames = list(source)
    assert [frame.pts_seconds for frame in frames if frame.key_frame] == whole
    assert len(frames) == 30
    assert source.report.corrupt == 1
    (damage,) = source.report.damage
    assert damage.start_seconds == whole[1]


def test_real_clips(media):
    """Their packets come out of order, some without a decode time."""
    for name in ("asl-bird.mkv", "car-detection.mp4"):
        whole = list(open_source(media / name))
        keys = list(open_source(media / name, key_frames=True))
        assert places(keys) == places(whole)
        for key, frame in zip(keys, whole, strict=True):
            assert key.key_frame == frame.key_frame
            if key.key_frame:
                np.testing.assert_array_equal(key.luma, frame.luma)


def test_only_key_frames_are_computed(tmp_path):
    path = write_video(tmp_path / "clip.mp4", gop=10, options={"sc_threshold": "0"})
    policy = KeyFrames()
    source = open_source(path, key_frames=policy.only_key_frames)
    predictions = list(Pipeline(StillModel(), policy).run(source))
    assert [p.index for p in predictions if p.status == "computed"] == [0, 10, 20]
    assert [p.index for p in predictions] == list(range(30))
    assert not any(p.fault for p in predictions)


def test_a_combination_needs_all_frames_unless_both_parts_do_not():
    assert (KeyFrames() | KeyFrames()).only_key_frames
    assert not (KeyFrames() | Change()).only_key_frames
    assert not (Interval() & KeyFrames()).only_key_frames


@pytest.mark.parametrize("drawn", [[], ["--picture"], ["--save", "jsonl,video"]])
def test_the_command_decodes_what_it_draws(tmp_path, drawn):
    path = write_video(tmp_path / "clip.mp4", gop=10, options={"sc_threshold": "0"})
    command = ["run", str(path), "--policy", "KeyFrames", "--out", str(tmp_path / "out"), *drawn]
    assert main(command) == 0
    results = load_results(tmp_path / "out" / "clip")
    assert [r.index for r in results if r.status == "computed"] == [0, 10, 20]
    assert len(results) == 30


def packet_place(path: Path, seconds: float) -> int:
    """Where in the file the packet of a time begins."""
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size and float(packet.pts * packet.time_base) == pytest.approx(seconds):
                return packet.pos
    raise LookupError(seconds)
