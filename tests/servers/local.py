"""Servers on this machine for tests of network sources."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

SYSTEM_PYTHON = Path("/usr/bin/python3")
RTSP_SERVER = Path(__file__).with_name("rtsp_server.py")


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, also parts of them, and one endless camera."""

    def do_GET(self) -> None:
        if self.path.startswith("/endless/"):
            self._send_endlessly(Path(self.directory) / self.path.removeprefix("/endless/"))
        elif match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            self._send_part(Path(self.translate_path(self.path)), *match.groups())
        else:
            super().do_GET()

    def _send_part(self, path: Path, first: str, last: str) -> None:
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        data = path.read_bytes()
        part = data[int(first) : int(last) + 1 if last else None]
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        end = int(first) + len(part) - 1
        self.send_header("Content-Range", f"bytes {first}-{end}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)

    def _send_endlessly(self, path: Path) -> None:
        """Send a file without telling its length, and then nothing more."""
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.wfile.write(path.read_bytes())
        self.server.stopping.wait()  # type: ignore[attr-defined]  # of _Server below

    def handle(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has seen enough
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))


@contextmanager
def serve_folder(folder: Path) -> Generator[str]:
    """Serve the files of a folder by HTTP: yields the URL, without a slash at its end."""
    with _Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()


@contextmanager
def silent_server(trickle: bytes = b"") -> Generator[int]:
    """Accept connections and say nothing, or now and then a byte: yields the port."""
    stopping = threading.Event()

    def serve(listener: socket.socket) -> None:
        listener.settimeout(0.05)
        clients: list[socket.socket] = []
        sent = 0
        while not stopping.is_set():
            try:
                clients.append(listener.accept()[0])
            except TimeoutError:
                for client in clients:
                    send(client, trickle[sent : sent + 1])
                sent += 1
        for client in clients:
            client.close()

    def send(client: socket.socket, data: bytes) -> None:
        with suppress(OSError):  # it has hung up
            client.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.set()
            thread.join()


@contextmanager
def udp_sender(path: Path) -> Generator[int]:
    """Send a video over and over by UDP as MPEG-TS, at its own pace: yields the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stopping = threading.Event()

    def send() -> None:
        url = f"udp://127.0.0.1:{port}?pkt_size=1316"
        with av.open(url, "w", format="mpegts") as target, av.open(str(path)) as source:
            stream = source.streams.video[0]
            copy = target.add_stream_from_template(stream)
            start, offset = time.monotonic(), 0
            while not stopping.is_set():
                end = 0
                for packet in source.demux(stream):
                    if packet.pts is None or stopping.is_set():
                        break
                    packet.pts += offset
                    packet.dts += offset
                    end = max(end, packet.pts + packet.duration)
                    due = start + float(packet.dts * packet.time_base) - time.monotonic()
                    stopping.wait(max(due, 0))
                    packet.stream = copy
                    target.mux(packet)
                offset = end
                source.seek(0)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield port
    finally:
        stopping.set()
        thread.join()


def has_rtsp_server() -> bool:
    """Whether the system's Python can run the RTSP server."""
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    command = [SYSTEM_PYTHON, "-c", check]
    return SYSTEM_PYTHON.exists() and not subprocess.run(command, capture_output=True).returncode


@contextmanager
def rtsp_camera(raw_h264: Path, credentials: str = "") -> Generator[tuple[int, subprocess.Popen]]:
    """Serve a raw H.264 file as a camera of 25 frames a second: yields the port and the process."""
    command = [SYSTEM_PYTHON, RTSP_SERVER, raw_h264, "25", credentials]
    quiet = os.environ | {"GST_DEBUG": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline()), process
        finally:
            process.kill()
