"""An HTTP server of this machine that serves files and cameras, and misbehaves on request."""

from __future__ import annotations

import re
import socket
import threading
from base64 import b64encode
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote
from weakref import WeakSet

from av.error import PyAVCallbackError

from streamdyn.bench.cameras.ports import HOST, free_port, local_url
from tests.cameras.play import play


class HttpServer:
    """Serves the files of a folder on one port, which it keeps when it is started again.

    Args:
        user: who alone may read, with `password`, by basic authentication; "" lets everyone in.

    Attributes:
        requests: the path of each request that came.
    """

    def __init__(self, folder: Path, *, user: str = "", password: str = "", port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.requests: list[str] = []
        self.authorization = ""
        if user:
            self.authorization = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        self._server: _Server | None = None

    def url(self, name: str, *, user: str = "", password: str = "") -> str:
        """A file with its length; parts of it can be asked for."""
        return local_url("http", self.port, name, user=user, password=password)

    def endless(self, name: str) -> str:
        """A clip as MPEG-TS, played over and over at its own pace."""
        return self.url(f"endless/{name}")

    def stalling(self, name: str) -> str:
        """A file of which no length is told, and then nothing more."""
        return self.url(f"stalling/{name}")

    def trickling(self, name: str, *, bytes_per_second: float = 1.0) -> str:
        """A file that comes byte by byte."""
        return self.url(f"trickling/{bytes_per_second:g}/{name}")

    def redirect(self, target: str) -> str:
        """A redirect to any URL, of whatever protocol."""
        return self.url(f"redirect/{quote(target, safe='')}")

    def start(self) -> None:
        self._server = _Server(self)
        self._server.run()

    def stop(self) -> None:
        """Hang up on all clients, and listen no more."""
        if self._server is not None:
            self._server.end()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    """One run of an HttpServer."""

    daemon_threads = False  # server_close() then waits for them

    def __init__(self, camera: HttpServer) -> None:
        self.camera = camera
        self.stopping = threading.Event()
        self._clients: WeakSet[socket.socket] = WeakSet()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        super().__init__((HOST, camera.port), partial(_Handler, directory=str(camera.folder)))

    def run(self) -> None:
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        client, address = super().get_request()
        self._clients.add(client)
        return client, address

    def end(self) -> None:
        self.stopping.set()
        for client in list(self._clients):
            with suppress(OSError):  # it has hung up
                client.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(SimpleHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.camera.requests.append(self.path)
        behaviour, _, rest = self.path.removeprefix("/").partition("/")
        special = {
            "endless": self._play,
            "stalling": self._stall,
            "trickling": self._trickle,
            "redirect": self._redirect,
        }
        if self.headers.get("Authorization", "") != self.server.camera.authorization:
            self._refuse()
        elif behaviour in special:
            special[behaviour](rest)
        elif part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            self._send_part(Path(self.translate_path(self.path)), *part.groups())
        else:
            super().do_GET()

    def _refuse(self) -> None:
        self.send_response(HTTPStatus.UNAUTHORIZED)
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _redirect(self, quoted: str) -> None:
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", unquote(quoted))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _play(self, name: str) -> None:
        self._begin()
        play(Path(self.directory) / name, self.wfile, "mpegts", self.server.stopping)

    def _stall(self, name: str) -> None:
        self._begin()
        self.wfile.write((Path(self.directory) / name).read_bytes())
        self.server.stopping.wait()

    def _trickle(self, rest: str) -> None:
        bytes_per_second, _, name = rest.partition("/")
        self._begin()
        for byte in (Path(self.directory) / name).read_bytes():
            self.wfile.write(bytes([byte]))
            if self.server.stopping.wait(1 / float(bytes_per_second)):
                return

    def _begin(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.end_headers()

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

    def handle(self) -> None:
        with suppress(BrokenPipeError, ConnectionResetError, PyAVCallbackError):
            # The client has seen enough. PyAV says it in its own way.
            super().handle()

    def log_message(self, *_: object) -> None:
        pass
