"""Why a source cannot be read, in a word for programs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from streamdyn.bench.cameras import RtspServer
from streamdyn.bench.cameras.ports import free_port
from streamdyn.errors import SourceError
from streamdyn.sources import open_source
from tests.cameras.hls import write_playlist
from tests.cameras.http import HttpServer
from tests.cameras.silent import SilentServer
from tests.media_factory import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("served")
    write_video(folder / "cam.mp4", times=range(0, 4000, 40), options={"tune": "zerolatency"})
    write_video(folder / "cam.ts")
    (folder / "page.html").write_text("<html>no video</html>")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Generator[HttpServer]:
    with HttpServer(folder) as server:
        yield server


def why(spec: str | Path, **options: object) -> tuple[str | None, str]:
    """The cause and the text of the error of a source."""
    with pytest.raises(SourceError) as caught:
        list(open_source(spec, **{"timeout_seconds": 0.5, **options}))
    return caught.value.cause, str(caught.value)


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "rtsp://127.0.0.1/x", "concat:a|b", "ftp://127.0.0.1/x"]
)
def test_a_redirect_to_another_protocol_is_refused(server: HttpServer, target: str) -> None:
    assert why(server.redirect(target))[0] == "protocol"


def test_a_redirect_to_another_address_is_followed(server: HttpServer) -> None:
    assert len(list(open_source(server.redirect(server.url("cam.ts"))))) == 30


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("scheme", ["file:", "concat:", "subfile,,start,0,end,0,,:"])
def test_a_playlist_that_leads_to_local_files_is_refused(
    server: HttpServer, folder: Path, scheme: str, ends: bool
) -> None:
    write_playlist(folder / "stolen.m3u8", f"{scheme}{folder / 'cam.ts'}", ends=ends)
    cause, text = why(server.url("stolen.m3u8"))
    assert cause == "protocol"
    assert f"leads to {scheme.partition(',')[0].rstrip(':')}:" in text


def test_a_playlist_whose_parts_are_gone_is_not_blamed_for_them(
    server: HttpServer, folder: Path
) -> None:
    write_playlist(folder / "gone.m3u8", "gone.ts")
    assert why(server.url("gone.m3u8"))[0] == "codec"


def test_addresses(server: HttpServer, folder: Path) -> None:
    assert why(server.url("none.mp4"))[0] == "not found"
    assert why(server.url("page.html"))[0] == "codec"
    assert why(server.stalling("cam.ts"), live=False)[0] == "stalled"
    assert why(f"http://127.0.0.1:{free_port()}/cam")[0] == "refused"
    assert why("http://camera.invalid/cam", timeout_seconds=30)[0] == "not found"
    with SilentServer() as silent:
        for scheme in ("http", "rtsp", "tcp"):
            assert why(f"{scheme}://127.0.0.1:{silent.port}/cam")[0] == "timeout"


def test_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert why(folder / "page.html")[0] == "codec"
    assert why(tmp_path / "empty.mp4")[0] is None
    listing = tmp_path / "cameras.txt"
    listing.write_text("webcam:77\n")
    assert why(listing)[0] == "not found"


def test_no_password_is_shown(
    folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with HttpServer(folder, user="eve", password="s3cret") as server:
        url = server.url("cam.ts", user="eve", password="s3cret")
        assert len(list(open_source(url))) == 30
        assert open_source(url, live=True).info().url.count("***") == 1
        cause, refused = why(server.url("cam.ts", user="eve", password="wr0ng-s3cret"))
        assert cause == "authentication"
        gone = why(server.url("none", user="eve", password="s3cret"))[1]
        redirected = why(server.redirect("file:/x").replace("//", "//eve:s3cret@"))[1]
    shown = [refused, gone, redirected, caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if "s3cret" in text or "eve" in text]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_comes_by_either_transport(
    folder: Path, rtsp_server: Callable[..., RtspServer], transport: str
) -> None:
    server = rtsp_server({"cam": folder / "cam.mp4"})
    source = open_source(server.url("cam"), transport=transport, max_frames=10)
    frames = list(source)
    assert len(frames) == 10
    assert source.report.damage == []
    for before, after in itertools.pairwise(frames):
        assert before.pts_seconds < after.pts_seconds
        assert before.captured_at < after.captured_at


def test_transport_is_for_rtsp() -> None:
    with pytest.raises(SourceError, match="transport is for RTSP"):
        open_source("http://127.0.0.1/cam", transport="udp")
    with pytest.raises(SourceError, match="transport must be tcp or udp, got 'quic'"):
        open_source("rtsp://127.0.0.1/cam", transport="quic")
