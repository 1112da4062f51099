"""Predictions to send, and a web server that takes them or fails as it is told."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext
from time import monotonic, sleep
from typing import Any, Literal, Self

import numpy as np

from streamdyn import Detections, Frame, Prediction
from streamdyn.sinks import Sink
from tests.predictions_kit import a_prediction

# A status to answer with; "close": hang up; "hang": keep silent; "noise": answer what is not HTTP;
# "drip": begin an answer, and go on by a byte now and then.
Act = int | Literal["close", "hang", "noise", "drip"]

RESULT = Detections(
    np.array([[1, 2, 3, 4]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64), ("cär",)
)


class NoPixels:
    """What a sink that wants no frame can do without."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a sink that wants no frame has asked for {name}")


def prediction(index: int, stream: str = "cam") -> Prediction:
    return a_prediction(RESULT, index, stream=stream)


def feed(sink: Sink, first: int, last: int, stream: str = "cam") -> None:
    """Give a sink the predictions of these frames, the last not included."""
    for index in range(first, last):
        frame = Frame(NoPixels(), index=index, pts_seconds=index / 25, size=(64, 96), stream=stream)
        sink(prediction(index, stream), frame)


def wait_until(done: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for what another thread or process does."""
    end = monotonic() + seconds
    while not done():
        assert monotonic() < end, "it did not happen in time"
        sleep(0.005)


def make_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody has signed, and its key, in one file."""
    path = folder / "server.pem"
    made = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=here"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(path)]
    command = ["openssl", *made.split(), *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "key.pem").read_text())
    return path


@dataclass(frozen=True, slots=True)
class Post:
    """A request that came."""

    path: str
    headers: dict[str, str]
    records: list[dict[str, Any]]


@dataclass
class WebServer:
    """Takes what is posted to its port, which it keeps when it is started again.

    Attributes:
        plan: what to do with the requests to come, in order; after that, all are taken.
        posts: all that came, in order.
        taken: those that were answered with 200.
    """

    context: SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)  # of each answer
    plan: deque[Act] = field(default_factory=deque)
    posts: list[Post] = field(default_factory=list)
    taken: list[Post] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self.release = threading.Event()  # ends what hangs
        self._server: ThreadingHTTPServer | None = None
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}/hook"

    @property
    def indices(self) -> list[int]:
        """The frames whose records were taken, in order."""
        return [record["index"] for post in self.taken for record in post.records]

    def start(self) -> None:
        server = self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        server.daemon_threads = False  # so that closing waits for them
        if self.context:
            server.socket = self.context.wrap_socket(server.socket, server_side=True)
        self._thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        if self._server:
            self.release.set()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None
            self.release.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _handler(web: WebServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            post = Post(self.path, dict(self.headers), json.loads(body))
            web.posts.append(post)
            act = web.plan.popleft() if web.plan else 200
            if act == "hang":
                web.release.wait()
            elif act == "noise":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            elif act == "drip":
                self._drip()
            elif act != "close":
                self._answer(act, post)

        def _answer(self, status: int, post: Post) -> None:
            if status == 200:
                web.taken.append(post)
            self.send_response(status)
            for name, value in web.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def _drip(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 ")
                while not web.release.wait(0.01):
                    self.wfile.write(b"O")
            except OSError:
                pass  # the client has had enough

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    return Handler
