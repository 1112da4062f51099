"""Broken files: no hang, no traceback; what can be decoded comes, what is lost is listed."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from streamdyn.errors import SourceError
from streamdyn.sources import open_source
from streamdyn.types import Frame
from tests.media_factory import damage_packets, packet_times, read_number, truncate, write_video

LONG = range(0, 8000, 40)
CONTAINERS = {
    "index-first.mp4": {"container_options": {"movflags": "faststart"}},
    "index-last.mp4": {},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {},
    "a.ts": {},
}


def check_order(frames: list[Frame]) -> None:
    times = [frame.pts_seconds for frame in frames]
    assert all(before < after for before, after in itertools.pairwise(times))
    assert [frame.index for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("name", ["car-detection.mp4", "asl-book.mkv"])
@pytest.mark.parametrize("threads", [1, 2])
def test_damaged_packets(
    media: Path, tmp_path: Path, name: str, share: float, threads: int
) -> None:
    path = tmp_path / name
    damaged = damage_packets(media / name, path, share)
    source = open_source(path, threads=threads)
    frames = list(source)
    check_order(frames)
    expected, came = packet_times(media / name), {frame.pts_seconds for frame in frames}
    assert came <= set(expected)
    ranges = [(d.start_seconds, d.end_seconds) for d in source.report.damage]

    def listed(seconds: float) -> bool:
        return any(start - 1e-6 <= seconds < end + 1e-6 for start, end in ranges)

    assert [seconds for seconds in expected if seconds not in came and not listed(seconds)] == []
    assert max(came) > expected[-1] - 0.2  # it went on to the end
    assert len(frames) > 0.9 * len(expected) * (1 - share)
    assert any(listed(seconds) for seconds in damaged)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_pictures_far_from_the_damage_are_whole(tmp_path: Path, share: float) -> None:
    """With a key frame every 10 frames, groups without a damaged packet are as they were."""
    whole = write_video(tmp_path / "whole.mp4", times=LONG)
    path = tmp_path / "damaged.mp4"
    damaged = damage_packets(whole, path, share, seed=1)
    keys = [time for time, key in picture_types(whole) if key]
    before = {frame.pts_seconds: frame.image for frame in open_source(whole)}
    after = {frame.pts_seconds: frame.image for frame in open_source(path)}
    checked = 0
    for start, end in itertools.pairwise([*keys, 8.0]):
        if any(start <= time < end for time in damaged):
            continue
        for time, image in before.items():
            if start <= time < end:
                np.testing.assert_array_equal(after[time], image)
                checked += 1
    assert checked > 0 or share == 0.5


def picture_types(path: Path) -> list[tuple[float, bool]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (float(packet.pts * stream.time_base), packet.is_keyframe)
            for packet in container.demux(stream)
            if packet.pts is not None
        ]


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("name", CONTAINERS)
def test_truncated_files(tmp_path: Path, name: str, share: float) -> None:
    whole = write_video(tmp_path / name, times=LONG, **CONTAINERS[name])
    path = truncate(whole, tmp_path / f"cut-{name}", share)
    source = open_source(path)
    if share == 0.01 or name == "index-last.mp4":
        with pytest.raises(SourceError) as caught:
            list(source)
        assert str(path) in str(caught.value)
        return
    frames = list(source)
    check_order(frames)
    numbers = [read_number(frame.luma) for frame in frames[:-5]]
    assert numbers == list(range(len(numbers)))
    assert share * 0.6 < len(frames) / len(LONG) <= share + 0.1
    says_its_length = name in ("index-first.mp4", "a.mkv")
    if says_its_length and len(frames) < len(LONG):
        assert source.report.damage[-1].end_seconds == pytest.approx(8, abs=0.05)


@pytest.mark.parametrize("name", ["car-detection.mp4", "asl-book.mkv"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_real_files(media: Path, tmp_path: Path, name: str, share: float) -> None:
    source = open_source(truncate(media / name, tmp_path / name, share))
    if share == 0.01:
        with pytest.raises(SourceError, match=r"no frame that can be decoded|cannot open"):
            list(source)
        return
    frames = list(source)
    check_order(frames)
    assert {frame.pts_seconds for frame in frames} <= set(packet_times(media / name))
    assert len(frames) > 0.9 * share * 0.9 * len(packet_times(media / name)) / 1.1


def test_a_header_that_claims_more_frames_than_there_are(media: Path) -> None:
    source = open_source(media / "corrupted.mp4")
    assert source.info().claimed_frames == 50
    frames = list(source)
    check_order(frames)
    assert len(frames) == 49
    assert 3.0 not in [frame.pts_seconds for frame in frames]
    (damage,) = source.report.damage
    assert damage.start_seconds == pytest.approx(3.0)
    assert 3.1 <= damage.end_seconds <= 3.5


def test_random_bytes_in_the_whole_file_never_hang(tmp_path: Path) -> None:
    """Any byte may be wrong, also those of the container."""
    chance = np.random.default_rng(0)
    for name in ("a.mkv", "a.ts", "index-first.mp4"):
        data = np.frombuffer(
            write_video(tmp_path / name, times=LONG, **CONTAINERS[name]).read_bytes(), np.uint8
        )
        for share in (0.0005, 0.005, 0.05):
            broken = data.copy()
            places = chance.integers(0, len(data), max(1, int(len(data) * share)))
            broken[places] = chance.integers(0, 256, len(places))
            path = tmp_path / f"{share}-{name}"
            broken.tofile(path)
            frames: list[Frame] = []
            with suppress(SourceError):
                frames.extend(open_source(path))
            check_order(frames)


def test_what_is_no_video(tmp_path: Path) -> None:
    empty, text, audio, cover = (tmp_path / f"{n}.mp4" for n in ("empty", "text", "audio", "head"))
    empty.touch()
    text.write_text("This is text.\n" * 100)
    write_audio(audio)
    cover.write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    for path, message in [
        (empty, "the file is empty; copy or record it again"),
        (text, "it is no video that FFmpeg knows, whatever its name says"),
        (audio, "has no video track, only audio; give a file with video"),
        (cover, "this MP4 has no index"),
        (tmp_path / "none.mp4", "check the spelling"),
    ]:
        with pytest.raises(SourceError) as caught:
            open_source(path).info()
        assert message in str(caught.value)
        assert str(path) in str(caught.value)
        with pytest.raises(SourceError):
            list(open_source(path))


def write_audio(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_damage_before_the_start_does_not_stop_a_seek(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", times=LONG)
    path = tmp_path / "damaged.mp4"
    damage_packets(whole, path, 0.2, seed=3)
    everything = {frame.pts_seconds: read_number(frame.luma) for frame in open_source(path)}
    for start in (0.5, 2.0, 5.3):
        frames = list(open_source(path, start=start))
        expected = {time: number for time, number in everything.items() if time >= start - 1e-6}
        assert {frame.pts_seconds for frame in frames} == set(expected)


@pytest.mark.parametrize("seed", range(5))
def test_threads_lose_no_picture_that_one_thread_decodes(tmp_path: Path, seed: int) -> None:
    whole = write_video(tmp_path / "whole.mp4", times=range(0, 2000, 40), b_frames=2)
    path = tmp_path / "damaged.mp4"
    damage_packets(whole, path, 0.1, seed)
    one, two, three = ([f.pts_seconds for f in open_source(path, threads=n)] for n in (1, 2, 3))
    assert one == two == three
