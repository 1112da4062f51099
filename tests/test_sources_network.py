"""Network streams, from real servers on this machine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from pathlib import Path

import av
import pytest

from streamdyn.bench.cameras import RtspServer
from streamdyn.bench.cameras.ports import free_port
from streamdyn.errors import SourceError
from streamdyn.sources import open_source
from tests.cameras.http import HttpServer
from tests.cameras.play import udp_camera
from tests.cameras.silent import SilentServer
from tests.media_factory import read_number, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("served")
    write_video(folder / "cam.mp4")
    write_video(folder / "cam.ts", b_frames=2)
    write_hls(folder / "cam.mp4", folder / "vod.m3u8")
    playlist = (folder / "vod.m3u8").read_text()
    (folder / "live.m3u8").write_text(playlist.replace("#EXT-X-ENDLIST", ""))
    secret = write_video(folder.parent / "secret.ts", first=100)
    for scheme in ("file:", "concat:", "subfile,,start,0,end,0,,:"):
        stolen = playlist.replace("vod0.ts", f"{scheme}{secret}")
        (folder / f"{scheme[:4]}.m3u8").write_text(stolen)
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Generator[str]:
    with HttpServer(folder) as server:
        yield server.url("").removesuffix("/")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("clip") / "cam.mp4"
    return write_video(path, times=range(0, 4000, 40), options={"tune": "zerolatency"})


def write_hls(source: Path, playlist: Path) -> None:
    with (
        av.open(str(source)) as reader,
        av.open(str(playlist), "w", format="hls", options={"hls_time": "0.4"}) as writer,
    ):
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        for packet in reader.demux(stream):
            if packet.pts is not None:
                packet.stream = copy
                writer.mux(packet)


@pytest.mark.parametrize("name", ["cam.mp4", "cam.ts", "vod.m3u8"])
def test_what_has_an_end_is_read_like_a_file(url: str, name: str) -> None:
    source = open_source(f"{url}/{name}")
    assert not source.live
    assert source.live_reason in ("its header gives a duration", "the server gives its length")
    assert [read_number(frame.luma) for frame in source] == list(range(30))
    assert source.report.dropped == 0


def test_hls_from_a_file(folder: Path) -> None:
    frames = open_source(folder / "vod.m3u8")
    assert [read_number(frame.luma) for frame in frames] == list(range(30))


def test_start_seeks_over_http(url: str) -> None:
    frames = list(open_source(f"{url}/cam.mp4", start=0.8))
    assert [read_number(frame.luma) for frame in frames] == list(range(20, 30))


@pytest.mark.parametrize("path", ["live.m3u8", "stalling/cam.ts"])
def test_what_has_no_end_is_live(url: str, path: str) -> None:
    source = open_source(f"{url}/{path}", timeout_seconds=2)
    assert source.live
    assert source.live_reason == "neither header nor server says that it ends"


def test_live_hls_comes_in_bursts_and_is_shown_frame_by_frame(url: str) -> None:
    source = open_source(f"{url}/live.m3u8", timeout_seconds=2)
    numbers = [read_number(frame.luma) for frame in source]
    assert len(numbers) > 10  # most would be dropped if they were handed over as they come
    assert len(numbers) + source.report.dropped == 30


def test_live_can_be_forced_and_a_stalled_stream_is_noticed(url: str) -> None:
    source = open_source(f"{url}/stalling/cam.ts", live=False, timeout_seconds=1)
    numbers: list[int] = []
    with pytest.raises(SourceError, match="was lost: it did not answer within 1 s"):
        numbers.extend(read_number(frame.luma) for frame in source)
    assert numbers[:20] == list(range(20))
    assert open_source(f"{url}/cam.mp4", live=True).live


@pytest.mark.parametrize("name", ["file.m3u8", "conc.m3u8", "subf.m3u8"])
def test_a_remote_playlist_cannot_reach_local_files(url: str, name: str) -> None:
    numbers = [read_number(frame.luma) for frame in open_source(f"{url}/{name}")]
    assert numbers[0] > 0  # the first segment would be the local file
    assert numbers == list(range(numbers[0], 30))


@pytest.mark.parametrize(
    ("path", "message"),
    [("none.mp4", "there is nothing of this name"), ("none.m3u8", "there is nothing of this name")],
)
def test_what_is_not_there(url: str, path: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        list(open_source(f"{url}/{path}"))


def test_nobody_listens() -> None:
    port = free_port()
    for scheme in ("http", "rtsp", "tcp"):
        with pytest.raises(SourceError, match="nothing answers at this address"):
            list(open_source(f"{scheme}://127.0.0.1:{port}/cam"))


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp", "rtmp"])
@pytest.mark.parametrize("trickle", [b"", b"HTTP/1.1 200 OK\r\nX: " + b"." * 1000])
def test_a_server_that_says_nothing(scheme: str, trickle: bytes) -> None:
    with SilentServer(trickle, bytes_per_second=20) as server:
        url = f"{scheme}://eve:s3cret@127.0.0.1:{server.port}/cam"
        source = open_source(url, timeout_seconds=0.5)
        start = time.monotonic()
        with pytest.raises(SourceError, match=r"stalled|did not answer") as caught:
            list(source)
        assert time.monotonic() - start < 10
        assert "s3cret" not in str(caught.value)


def test_udp_without_a_sender() -> None:
    with pytest.raises(SourceError, match=r"stalled|did not answer"):
        list(open_source("udp://127.0.0.1:9", timeout_seconds=0.5))


def test_udp(folder: Path) -> None:
    port = free_port()
    with udp_camera(folder / "cam.ts", port):
        source = open_source(f"udp://127.0.0.1:{port}", max_frames=25)
        assert source.live
        frames = list(source)
    assert len(frames) == 25
    times = [frame.pts_seconds for frame in frames]
    assert all(before < after for before, after in itertools.pairwise(times))
    assert {read_number(frame.luma) for frame in frames[5:]} <= set(range(30))


def test_rtsp(clip: Path, rtsp_server: Callable[..., RtspServer]) -> None:
    server = rtsp_server({"cam": clip})
    source = open_source(server.url("cam"), max_frames=25)
    assert source.live
    assert source.name == f"127.0.0.1_{server.port}_cam"
    frames = list(source)
    info = source.info()
    assert len(frames) == 25
    assert (info.kind, info.size, info.codec) == ("rtsp", (48, 64), "h264")
    times = [frame.pts_seconds for frame in frames]
    assert all(before < after for before, after in itertools.pairwise(times))
    # The camera began with its first frame: number and time belong together.
    assert [read_number(frame.luma) for frame in frames] == [frame.index for frame in frames]
    for frame in frames[2:]:
        assert frame.pts_seconds == pytest.approx(frame.index / 25, abs=0.021)
    report = source.report
    assert report.emitted == 25
    assert report.decoded == report.emitted + report.dropped


def test_rtsp_with_a_slow_consumer(clip: Path, rtsp_server: Callable[..., RtspServer]) -> None:
    source = open_source(rtsp_server({"cam": clip}).url("cam"), max_frames=4)
    indices = []
    for frame in source:
        indices.append(frame.index)
        time.sleep(0.2)
    assert len(indices) == 4
    assert source.report.dropped > 4
    assert source.report.decoded == 4 + source.report.dropped


def test_rtsp_needs_the_right_password_and_never_shows_it(
    clip: Path,
    rtsp_server: Callable[..., RtspServer],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server = rtsp_server({"cam": clip}, user="eve", password="s3cret")
    good = open_source(server.url("cam", user="eve", password="s3cret"), max_frames=3)
    assert len(list(good)) == 3
    texts = [good.name, good.url, repr(good.info())]
    for user, password in (("eve", "wr0ng"), ("wr0ng", ""), ("", "")):
        with pytest.raises(SourceError, match="refuses access") as caught:
            list(open_source(server.url("cam", user=user, password=password)))
        texts.append(str(caught.value))
    texts += [caplog.text, *capfd.readouterr()]
    assert not [text for text in texts if "s3cret" in text or "wr0ng" in text or "eve" in text]


@pytest.mark.parametrize("blow", [RtspServer.freeze, RtspServer.kill])
def test_a_camera_that_freezes_or_dies_is_lost(
    clip: Path, rtsp_server: Callable[..., RtspServer], blow: Callable[[RtspServer], None]
) -> None:
    server = rtsp_server({"cam": clip})
    source = open_source(server.url("cam"), timeout_seconds=2)
    frames = iter(source)
    for _ in range(5):
        next(frames)
    blow(server)
    with pytest.raises(SourceError, match=r"stalled|was lost"):
        list(frames)
