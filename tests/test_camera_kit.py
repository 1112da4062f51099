"""The cameras and servers that other tests stand on: each does what it says."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import av
import paho.mqtt.client as mqtt
import psutil
import pytest

from streamdyn.bench.cameras import Camera, RtspServer, camera_clip
from streamdyn.bench.cameras.ports import HOST, answers, free_port
from streamdyn.bench.cameras.rtsp import require_rtsp_server
from streamdyn.errors import SourceError
from tests.cameras.hls import hls_camera, write_playlist
from tests.cameras.http import HttpServer
from tests.cameras.mqtt import MqttBroker
from tests.cameras.play import udp_camera
from tests.cameras.proxy import FaultyProxy
from tests.cameras.silent import SilentServer
from tests.media_factory import read_number, write_video

FPS = 25
FRAMES = 30  # of the clip, with a key frame every 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "numbered.mp4")


def watch(url: str, count: int, *, transport: str = "tcp") -> list[tuple[float | None, int]]:
    """The times and numbers of the first frames of a stream."""
    options = {"rtsp_transport": transport, "fpsprobesize": "2"} if url.startswith("rtsp") else {}
    with av.open(url, options=options, timeout=10) as container:
        frames = itertools.islice(container.decode(video=0), count)
        return [(frame.time, read_number(frame.to_ndarray(format="gray"))) for frame in frames]


def numbers(url: str, count: int, **options: str) -> list[int]:
    return [number for _, number in watch(url, count, **options)]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_shows_its_clip_over_and_over_without_encoding_it(
    clip: Path, rtsp_server: Callable[..., RtspServer], transport: str
) -> None:
    server = rtsp_server({"cam": clip})
    seen = watch(server.url("cam"), FRAMES + 10, transport=transport)
    assert [number for _, number in seen] == [n % FRAMES for n in range(FRAMES + 10)]
    assert [time for time, _ in seen[1:]] == pytest.approx(
        [n / FPS for n in range(1, FRAMES + 10)], abs=0.001
    )


def test_b_frames_and_uneven_times_pass_too(
    tmp_path: Path, rtsp_server: Callable[..., RtspServer]
) -> None:
    times = [40 * n + (20 if n % 5 == 0 else 0) for n in range(20)]
    clip = write_video(tmp_path / "uneven.mkv", times=times, b_frames=2)
    seen = watch(rtsp_server({"cam": clip}).url("cam"), 20)
    assert [number for _, number in seen] == list(range(20))
    shown = [time for time, _ in seen[1:] if time is not None]
    steps = [after - before for before, after in itertools.pairwise(shown)]
    expected = [(after - before) / 1000 for before, after in itertools.pairwise(times[1:])]
    assert steps == pytest.approx(expected, abs=0.002)


def test_many_cameras_at_once(clip: Path, rtsp_server: Callable[..., RtspServer]) -> None:
    server = rtsp_server({f"cam{n}": clip for n in range(3)})
    quick = {"fpsprobesize": "2"}
    with (
        av.open(server.url("cam0"), options=quick) as first,
        av.open(server.url("cam1"), options=quick) as second,
        av.open(server.url("cam2"), options={"rtsp_transport": "udp", **quick}) as third,
    ):
        streams = [container.decode(video=0) for container in (first, second, third)]
        for number in range(10):
            for stream in streams:
                assert read_number(next(stream).to_ndarray(format="gray")) == number


def test_a_running_camera_is_joined_where_it_is(
    tmp_path: Path, rtsp_server: Callable[..., RtspServer]
) -> None:
    long = write_video(tmp_path / "long.mp4", times=range(0, 10_000, 40))
    with av.open(str(long)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    server = rtsp_server({"cam": Camera(clip=long, running=True)})
    first, second = (numbers(server.url("cam"), 1)[0] for _ in range(2))
    assert 0 < first < second
    assert {first, second} <= set(keys)  # nothing can be shown before one


def test_a_camera_comes_back_on_the_same_port(
    clip: Path, rtsp_server: Callable[..., RtspServer]
) -> None:
    server = rtsp_server({"cam": clip})
    url, pid = server.url("cam"), server.pid
    for end in (server.stop, server.kill):
        end()
        assert not answers(server.port)
        with pytest.raises(OSError, match="refused"):
            watch(url, 1)
        server.start()
        assert numbers(url, 2) == [0, 1]
    assert server.pid != pid
    server.freeze()
    server.restart()
    assert numbers(url, 2) == [0, 1]


@pytest.mark.parametrize("digest", [False, True])
def test_a_camera_asks_for_its_password(
    clip: Path, rtsp_server: Callable[..., RtspServer], digest: bool
) -> None:
    server = rtsp_server({"cam": clip}, user="eve", password="s/cr@t", digest=digest)
    assert numbers(server.url("cam", user="eve", password="s/cr@t"), 1) == [0]
    for user, password in (("eve", "wrong"), ("", "")):
        with pytest.raises(av.error.HTTPUnauthorizedError):
            watch(server.url("cam", user=user, password=password), 1)


def test_what_a_camera_cannot_show(
    tmp_path: Path, clip: Path, rtsp_server: Callable[..., RtspServer]
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(RuntimeError, match=r"text\.mp4 is no video in H\.264"):
        rtsp_server({"cam": tmp_path / "text.mp4"})
    with pytest.raises(av.error.HTTPNotFoundError):
        watch(rtsp_server({"cam": clip}).url("other"), 1)


def test_without_gstreamer_the_packages_to_install_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for python in (sys.executable, "/none"):
        monkeypatch.setattr("streamdyn.bench.cameras.rtsp._PYTHON", python)
        with pytest.raises(SourceError, match=r"apt-get install gir1\.2-gst-rtsp-server-1\.0"):
            require_rtsp_server()


def test_a_server_ends_with_who_started_it(
    clip: Path, rtsp_server: Callable[..., RtspServer]
) -> None:
    code = (
        "import os, sys, pathlib, signal\n"
        "from streamdyn.bench.cameras import RtspServer\n"
        "server = RtspServer({'cam': pathlib.Path(sys.argv[1])})\n"
        "server.start()\n"
        "print(server.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", code, str(clip)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    try:
        orphan = psutil.Process(int(done.stdout))
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs([orphan], timeout=10)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_a_clip_is_made_like_a_cameras_and_only_once(tmp_path: Path, media: Path) -> None:
    source = media / "bottle-detection.mp4"
    kind = {"fps": 5, "size": (90, 160), "key_frame_seconds": 2.0, "seconds": 5.0}
    path = camera_clip(source, tmp_path, **kind)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        assert (stream.height, stream.width, stream.average_rate) == (90, 160, 5)
        times = [packet.pts * packet.time_base for packet in packets]
        assert times == [n / stream.average_rate for n in range(25)]
        assert [n for n, packet in enumerate(packets) if packet.is_keyframe] == [0, 10, 20]
        assert [packet.dts for packet in packets] == [packet.pts for packet in packets]
    written = path.stat().st_mtime_ns
    assert camera_clip(source, tmp_path, **kind) == path
    assert path.stat().st_mtime_ns == written
    small = camera_clip(source, tmp_path, **kind, kilobits_per_second=20)
    assert small.stat().st_size < path.stat().st_size
    assert len(list(tmp_path.iterdir())) == 2


def test_http_serves_files_and_endless_streams(clip: Path) -> None:
    with HttpServer(clip.parent) as server:
        assert numbers(server.url(clip.name), 99) == list(range(FRAMES))
        seen = watch(server.endless(clip.name), FRAMES + 5)
        assert [number for _, number in seen] == [n % FRAMES for n in range(FRAMES + 5)]
        times = [time for time, _ in seen if time is not None]
        assert all(before < after for before, after in itertools.pairwise(times))
        assert f"/endless/{clip.name}" in server.requests


def test_http_stalls_and_trickles(clip: Path) -> None:
    with HttpServer(clip.parent) as server:
        for url in (server.stalling(clip.name), server.trickling(clip.name)):
            with urllib.request.urlopen(url, timeout=0.3) as answer:
                assert answer.headers["Content-Length"] is None
                first = answer.read(1)
                with pytest.raises(TimeoutError):
                    answer.read(clip.stat().st_size)
            assert first == clip.read_bytes()[:1]


def test_http_hangs_up_on_a_client_that_does_not_read(clip: Path) -> None:
    with (
        HttpServer(clip.parent) as server,
        urllib.request.urlopen(server.trickling(clip.name), timeout=10) as answer,
    ):
        server.stop()
        assert len(answer.read()) < clip.stat().st_size


@pytest.mark.parametrize("target", ["file:///etc/hostname", "rtsp://127.0.0.1:9/cam", "http://x/"])
def test_http_redirects_to_any_protocol(tmp_path: Path, target: str) -> None:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    with HttpServer(tmp_path) as server:
        opener = urllib.request.build_opener(Stay)
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(server.redirect(target))
        with caught.value as answer:
            assert (answer.code, answer.headers["Location"]) == (302, target)


def test_http_refuses(clip: Path) -> None:
    with HttpServer(clip.parent, user="eve", password="s3cret") as server:
        good = server.url(clip.name, user="eve", password="s3cret")
        assert numbers(good, 99) == list(range(FRAMES))
        with pytest.raises(av.error.HTTPUnauthorizedError):
            watch(server.url(clip.name, user="eve", password="wrong"), 1)
        server.stop()
        server.start()
        with pytest.raises(av.error.HTTPNotFoundError):
            watch(server.url("none.mp4", user="eve", password="s3cret"), 1)


def test_a_live_playlist_goes_on(clip: Path, tmp_path: Path) -> None:
    with hls_camera(clip, tmp_path) as playlist, HttpServer(tmp_path) as server:
        seen = numbers(server.url(playlist.name), 2 * FRAMES)
    assert seen == [(seen[0] + n) % FRAMES for n in range(2 * FRAMES)]
    assert "#EXT-X-ENDLIST" not in playlist.read_text()


def test_a_playlist_of_local_files(tmp_path: Path) -> None:
    secret = write_video(tmp_path / "secret.ts")
    playlist = write_playlist(tmp_path / "stolen.m3u8", f"file:{secret}")
    with HttpServer(tmp_path) as server:
        careless = {"protocol_whitelist": "http,tcp,file"}
        with av.open(server.url(playlist.name), options=careless, timeout=10) as container:
            assert len(list(container.decode(video=0))) == FRAMES


def test_a_camera_by_udp(clip: Path) -> None:
    port = free_port()
    with udp_camera(clip, port):
        seen = numbers(f"udp://{HOST}:{port}", 20)
    assert len(seen) == 20
    assert seen[10:] == [(seen[10] + n) % FRAMES for n in range(10)]


def test_a_silent_server_accepts() -> None:
    with SilentServer(b"ab", bytes_per_second=50) as server:
        with socket.create_connection((HOST, server.port), timeout=5) as client:
            assert client.recv(1) in b"ab"
        with socket.create_connection((HOST, server.port)):
            pass
    assert 1 <= server.accepted <= 2


class Echo(threading.Thread):
    """Sends back what it gets, to one client after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.listener = socket.create_server((HOST, free_port()))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            with client:
                while data := self.receive(client):
                    client.sendall(data)

    def receive(self, client: socket.socket) -> bytes:
        try:
            return client.recv(1 << 16)
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


@pytest.fixture
def before_echo(proxy: Callable[[int], FaultyProxy]):
    echo = Echo()
    yield proxy(echo.port)
    echo.close()


def ask(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(1 << 16)


def hung_up(client: socket.socket) -> bool:
    """Whether the other end has closed the connection, orderly or not."""
    try:
        return client.recv(9) == b""
    except ConnectionResetError:
        return True


def test_a_proxy_passes_stalls_and_drops(before_echo: FaultyProxy) -> None:
    proxy = before_echo
    with socket.create_connection((HOST, proxy.port), timeout=0.3) as client:
        assert ask(client, b"one") == b"one"
        assert (proxy.connections, proxy.accepted) == (1, 1)
        proxy.stall()
        with pytest.raises(TimeoutError):
            ask(client, b"two")
        proxy.forward()
        client.settimeout(10)
        assert client.recv(9) == b"two"
        proxy.refuse()
        assert ask(client, b"three") == b"three"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, proxy.port))
        proxy.drop()
        assert hung_up(client)
        assert proxy.connections == 0
    proxy.forward()
    with socket.create_connection((HOST, proxy.port), timeout=10) as client:
        assert ask(client, b"four") == b"four"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(9) == b""  # the end is passed on too


def test_a_proxy_delays_and_limits_the_rate(before_echo: FaultyProxy) -> None:
    proxy = before_echo
    proxy.delay_seconds = 0.5
    with socket.create_connection((HOST, proxy.port), timeout=0.3) as client:
        with pytest.raises(TimeoutError):
            ask(client, b"late")
        client.settimeout(10)
        assert client.recv(9) == b"late"
        proxy.delay_seconds = 0.0
        proxy.bytes_per_second = 100.0
        client.settimeout(0.5)
        client.sendall(bytes(1000))
        some = len(client.recv(1000))
        assert some < 1000
        proxy.bytes_per_second = None
        client.settimeout(10)
        while some < 1000:
            some += len(client.recv(1000))


def test_a_proxy_before_nothing_hangs_up(proxy: Callable[[int], FaultyProxy]) -> None:
    dead = proxy(free_port())
    with socket.create_connection((HOST, dead.port), timeout=10) as client:
        assert hung_up(client)


def test_rtsp_through_a_proxy(
    clip: Path, rtsp_server: Callable[..., RtspServer], proxy: Callable[[int], FaultyProxy]
) -> None:
    server = rtsp_server({"cam": clip})
    url = server.url("cam").replace(str(server.port), str(proxy(server.port).port))
    assert numbers(url, 5) == list(range(5))


def connect(broker: MqttBroker, user: str = "", password: str = "") -> tuple[mqtt.Client, str]:
    """A client, and what the broker answered."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    if user:
        client.username_pw_set(user, password)
    answers: list[str] = []
    client.on_connect = lambda *args: answers.append(str(args[3]))
    client.connect(HOST, broker.port)
    while not answers:
        client.loop(0.1)
    return client, answers[0]


def test_a_broker_passes_messages_and_comes_back(
    mqtt_broker: Callable[..., MqttBroker],
) -> None:
    broker = mqtt_broker()
    assert exchange(broker) == b"hello"
    broker.restart()
    assert exchange(broker) == b"hello"


def exchange(broker: MqttBroker) -> bytes:
    """What a client gets that publishes "hello" to itself."""
    client, answer = connect(broker)
    assert answer == "Success"
    got: list[bytes] = []
    client.on_message = lambda *args: got.append(args[2].payload)
    client.on_subscribe = lambda *_: client.publish("cam", b"hello", qos=1)
    client.subscribe("cam", qos=1)
    while not got:
        client.loop(0.1)
    client.disconnect()
    return got[0]


def test_a_broker_asks_for_its_password(mqtt_broker: Callable[..., MqttBroker]) -> None:
    broker = mqtt_broker(user="eve", password="s3cret")
    assert connect(broker, "eve", "s3cret")[1] == "Success"
    assert connect(broker, "eve", "wrong")[1] == "Not authorized"
    assert connect(broker)[1] == "Not authorized"
