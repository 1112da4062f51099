"""Webhooks, against a real web server that fails in every way it can."""

from __future__ import annotations

import logging
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import psutil
import pytest

from streamdyn.backoff import Backoff
from streamdyn.records import from_record, to_record
from streamdyn.sinks import Webhook, open_sink
from streamdyn.sinks.address import Address
from streamdyn.sinks.delivery import Remote
from streamdyn.sinks.receiver import UndeliveredError
from streamdyn.sinks.spool import Batch, Record, Spool
from streamdyn.sinks.webhook import WebReceiver, retry_after
from tests.receivers_kit import Act, WebServer, feed, make_certificate, prediction, wait_until
from tests.sinks_kit import ROOT, command


@pytest.fixture
def web() -> Generator[WebServer]:
    with WebServer() as server:
        yield server


def hook(url: str, folder: Path, *, batch_records: int = 4, timeout: float = 10.0) -> Remote:
    """A webhook that is quick to try again."""
    receiver = WebReceiver(Address.parse(url))
    receiver.batch_seconds = 0.01
    receiver.batch_records = batch_records
    receiver.timeout_seconds = timeout
    return Remote(receiver, Spool(folder / "spool"), backoff=Backoff(0.01, 0.05), close_seconds=0.1)


def feed_and_wait(url: str, folder: str) -> None:
    """Run in a process of its own, which is killed."""
    feed(open_sink(url, folder), 0, 30)
    print("fed", flush=True)
    sys.stdin.read()


def drain(sink: Remote) -> None:
    wait_until(lambda: not sink.delivery.waiting)
    sink.close()


class TestPost:
    def test_arrays_of_records(self, web: WebServer, tmp_path: Path) -> None:
        with open_sink(f"{web.url}/ä?token=a,%2C", tmp_path) as sink:
            assert isinstance(sink, Webhook)
            feed(sink, 0, 150)
            drain(sink)
        assert web.indices == list(range(150))
        assert [len(post.records) for post in web.posts] == [100, 50]
        post = web.posts[0]
        assert to_record(from_record(post.records[7])) == to_record(prediction(7))
        assert post.path == "/hook/%C3%A4?token=a,%2C"
        assert post.headers["Content-Type"] == "application/json"
        assert len({post.headers["Idempotency-Key"] for post in web.posts}) == 2
        assert not list(tmp_path.iterdir())

    def test_logs_in(self, web: WebServer, tmp_path: Path) -> None:
        sink = hook(web.url.replace("//", "//me:p%40ss@"), tmp_path)
        feed(sink, 0, 1)
        drain(sink)
        assert web.posts[0].headers["Authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"

    def test_a_batch_that_waits_is_sent_on_closing(self, web: WebServer, tmp_path: Path) -> None:
        with open_sink(web.url, tmp_path) as sink:
            feed(sink, 0, 3)
        assert web.indices == [0, 1, 2]


class TestFailures:
    @pytest.mark.parametrize(
        ("act", "reason"),
        [
            (500, "the server answers 500 Internal Server Error"),
            (503, "the server answers 503 Service Unavailable"),
            (429, "the server answers 429 Too Many Requests"),
            (408, "the server answers 408 Request Timeout"),
            (401, "the server answers 401 Unauthorized"),
            (403, "the server answers 403 Forbidden"),
            (404, "the server answers 404 Not Found"),
            (302, "the server answers 302 Found; give the URL that it redirects to"),
            (799, "the server answers 799"),
            ("close", "the answer is not HTTP, or is cut off"),
            ("noise", "the answer is not HTTP, or is cut off"),
            ("hang", "no answer in time"),
        ],
    )
    def test_is_sent_again(self, act: Act, reason: str, web: WebServer, tmp_path: Path) -> None:
        web.plan = deque([act, act, 200, act])
        sink = hook(web.url, tmp_path, timeout=0.2)
        feed(sink, 0, 10)
        drain(sink)
        assert web.indices == list(range(10))
        assert (sink.delivery.sent, sink.delivery.retries) == (10, 3)
        assert sink.delivery.last_error == reason
        keys = [post.headers["Idempotency-Key"] for post in web.posts]
        assert keys[0] == keys[1] == keys[2] != keys[3] == keys[4]

    def test_an_answer_that_never_ends_is_cut_off(self, web: WebServer, tmp_path: Path) -> None:
        web.plan.append("drip")
        sink = hook(web.url, tmp_path, timeout=0.2)
        feed(sink, 0, 1)
        drain(sink)
        assert (web.indices, sink.delivery.retries) == ([0], 1)

    @pytest.mark.parametrize("status", [400, 413, 415, 422])
    def test_is_refused(
        self, status: int, web: WebServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        web.plan = deque([status, status])
        sink = hook(web.url, tmp_path)
        feed(sink, 0, 12)
        drain(sink)
        assert web.indices == list(range(8, 12))
        assert (sink.delivery.sent, sink.delivery.refused, sink.delivery.retries) == (4, 8, 0)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert f"refuses results: the server answers {status} " in caplog.text

    @pytest.mark.parametrize(
        ("statuses", "hopeless"),
        [((401, 403, 404, 410), True), ((408, 429, 500, 503, 302), False)],
    )
    def test_what_somebody_must_mend_is_hopeless_until_then(
        self, statuses: tuple[int, ...], hopeless: bool, web: WebServer
    ) -> None:
        web.plan = deque(statuses)
        receiver = WebReceiver(Address.parse(web.url))
        for status in statuses:
            with pytest.raises(UndeliveredError, match=str(status)) as caught:
                receiver.send(Batch("key", (Record("cam", b"{}"),)))
            assert caught.value.hopeless == hopeless
        receiver.close()

    def test_down_at_the_start_and_in_the_middle(self, web: WebServer, tmp_path: Path) -> None:
        web.stop()
        sink = hook(web.url, tmp_path)
        feed(sink, 0, 10)
        wait_until(lambda: sink.delivery.retries > 2)
        assert sink.delivery.last_error == "Connection refused"
        web.start()
        wait_until(lambda: not sink.delivery.waiting)
        web.stop()
        retries = sink.delivery.retries
        feed(sink, 10, 20)
        wait_until(lambda: sink.delivery.retries > retries)
        web.start()
        drain(sink)
        assert web.indices == list(range(20))

    def test_hangs_while_the_stream_goes_on(self, web: WebServer, tmp_path: Path) -> None:
        web.plan.append("hang")
        sink = hook(web.url, tmp_path)
        feed(sink, 0, 1)
        wait_until(lambda: web.posts)
        feed(sink, 1, 200)
        assert (sink.delivery.waiting, sink.delivery.retries) == (200, 0)  # it still hangs
        web.release.set()
        drain(sink)
        assert web.indices == list(range(200))

    def test_closing_hangs_up_on_a_server_that_hangs(self, web: WebServer, tmp_path: Path) -> None:
        threads = threading.active_count()
        web.plan.append("hang")
        sink = hook(web.url, tmp_path)
        feed(sink, 0, 5)
        wait_until(lambda: web.posts)
        sink.close()
        assert sink.delivery.waiting == 5
        web.release.set()
        wait_until(lambda: threading.active_count() <= threads)
        again = hook(web.url, tmp_path)
        drain(again)
        assert web.indices == list(range(5))

    def test_is_left_alone_for_as_long_as_it_asks(self, web: WebServer, tmp_path: Path) -> None:
        web.headers["Retry-After"] = "3600"
        web.plan = deque([429])
        sink = hook(web.url, tmp_path)
        feed(sink, 0, 1)
        wait_until(lambda: sink.delivery.retries)
        sink.close()  # does not try again either
        assert (len(web.posts), sink.delivery.waiting) == (1, 1)

    def test_a_killed_process_loses_nothing(self, web: WebServer, tmp_path: Path) -> None:
        web.plan.extend([503] * 1000)
        with subprocess.Popen(
            command(feed_and_wait, web.url, str(tmp_path)),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == b"fed\n"
            wait_until(lambda: web.posts)
            running.kill()
        web.plan.clear()
        with open_sink(web.url, tmp_path) as sink:
            assert isinstance(sink, Webhook)
            drain(sink)
        assert web.indices == list(range(30))
        keys = [post.headers["Idempotency-Key"] for post in web.posts]
        assert keys[0] == web.taken[0].headers["Idempotency-Key"]

    def test_leaves_no_descriptor(self, web: WebServer, tmp_path: Path) -> None:
        web.plan.extend([500, "close"] * 10)
        before = psutil.Process().num_fds()
        sink = hook(web.url, tmp_path)
        feed(sink, 0, 8)
        drain(sink)
        wait_until(lambda: psutil.Process().num_fds() <= before)


class TestTls:
    def test_is_verified(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        certificate = make_certificate(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with WebServer(context=context) as web:
            sink = hook(web.url, tmp_path)
            feed(sink, 0, 5)
            wait_until(lambda: sink.delivery.retries)
            sink.close()
            assert web.posts == []
            assert sink.delivery.last_error == (
                "its certificate is not trusted (self-signed certificate)"
            )
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            drain(hook(web.url, tmp_path))
            assert web.indices == list(range(5))

    def test_closing_hangs_up_on_a_server_that_hangs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certificate = make_certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with WebServer(context=context, plan=deque(["hang"])) as web:
            sink = hook(web.url, tmp_path)
            feed(sink, 0, 1)
            wait_until(lambda: web.posts)
            sink.close()
            sink._thread.join()
            assert sink.delivery.waiting == 1


class TestSecrets:
    def test_stay_hidden(
        self, web: WebServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        web.plan = deque([500, 400, 500])
        url = web.url.replace("//", "//me:Sesame@") + "/Sesame?code=Sesame"
        with open_sink(url, tmp_path) as sink:
            assert isinstance(sink, Webhook)
            feed(sink, 0, 1)
            wait_until(lambda: not sink.delivery.waiting)
            feed(sink, 1, 2)
            wait_until(lambda: sink.delivery.retries > 1)
            shown = [*tmp_path.iterdir(), sink, sink.delivery, caplog.text]
            shown += [thread.name for thread in threading.enumerate()]
        assert "127.0.0.1" in caplog.text
        assert "Sesame" not in repr(shown)
        assert not any(b"Sesame" in path.read_bytes() for path in tmp_path.iterdir())


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            (None, 0),
            ("", 0),
            ("soon", 0),
            ("-5", 0),
            ("7", 7),
            ("99999999", 3600),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
            (format_datetime(datetime.now(UTC) + timedelta(days=9), usegmt=True), 3600),
        ],
    )
    def test_reads(self, text: str | None, seconds: float) -> None:
        assert retry_after(text) == seconds
