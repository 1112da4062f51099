"""MQTT, against a real broker and a network that breaks."""

from __future__ import annotations

import gc
import json
import logging
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import psutil
import pytest

from streamdyn import SinkError
from streamdyn.backoff import Backoff
from streamdyn.records import from_record, to_record
from streamdyn.sinks import Mqtt, check_kind, open_sink
from streamdyn.sinks.address import Address
from streamdyn.sinks.delivery import Remote
from streamdyn.sinks.mqtt import Broker
from streamdyn.sinks.mqtt_session import Session
from streamdyn.sinks.spool import Spool
from tests.cameras.mqtt import MqttBroker
from tests.cameras.proxy import FaultyProxy
from tests.cameras.silent import SilentServer
from tests.mqtt_kit import OldBroker, Subscriber, configure
from tests.receivers_kit import feed, make_certificate, prediction, wait_until

TOPIC = "cameras/{stream}"


@pytest.fixture
def broker(mqtt_broker: Callable[..., MqttBroker]) -> MqttBroker:
    return mqtt_broker()


@pytest.fixture
def subscriber(broker: MqttBroker) -> Generator[Subscriber]:
    with Subscriber(broker.port) as subscriber:
        yield subscriber


def publisher(url: str, folder: Path, close_seconds: float = 0.1) -> Remote:
    """A sink that is quick to try again."""
    return Remote(
        Broker(Address.parse(url)),
        Spool(folder / "spool"),
        backoff=Backoff(0.01, 0.05),
        close_seconds=close_seconds,
    )


def url_of(port: int, topic: str = TOPIC) -> str:
    return f"mqtt://127.0.0.1:{port}/{topic}"


def wait_for_all(sink: Remote, subscriber: Subscriber, count: int) -> None:
    """Nothing waits, nothing is lost, and what came first came in order."""
    wait_until(lambda: not sink.delivery.waiting)
    wait_until(lambda: len(subscriber.indices) == count)
    assert subscriber.indices == list(range(count))
    assert sink.delivery.sent == count


class TestPublish:
    def test_a_message_for_each_prediction(
        self, broker: MqttBroker, subscriber: Subscriber, tmp_path: Path
    ) -> None:
        with open_sink(broker.url(TOPIC), tmp_path) as sink:
            assert isinstance(sink, Mqtt)
            feed(sink, 0, 250)
            wait_for_all(sink, subscriber, 250)
        assert len(subscriber.messages) == 250  # and no doubles
        message = subscriber.messages[7]
        assert (message.topic, message.qos, message.retain) == ("cameras/cam", 1, False)
        assert to_record(from_record(json.loads(message.payload))) == to_record(prediction(7))
        assert not list(tmp_path.iterdir())

    def test_a_topic_is_one_of_the_stream(
        self, broker: MqttBroker, subscriber: Subscriber, tmp_path: Path
    ) -> None:
        with publisher(broker.url("a%20b/{stream}/{stream}"), tmp_path) as sink:
            feed(sink, 0, 1, stream="x/+#y")
            wait_for_all(sink, subscriber, 1)
        assert subscriber.messages[0].topic == "a b/x___y/x___y"

    def test_status(self, broker: MqttBroker, subscriber: Subscriber, tmp_path: Path) -> None:
        with publisher(broker.url(TOPIC) + "?status=true", tmp_path) as sink:
            for index in range(3):
                feed(sink, index, index + 1)
                wait_for_all(sink, subscriber, index + 1)
            assert subscriber.status("cameras/cam/status") == ["online"]  # one connection for all
        wait_until(lambda: subscriber.status("cameras/cam/status") == ["online", "offline"])
        with Subscriber(broker.port) as later:
            wait_until(lambda: later.messages)
            assert (later.messages[0].payload, later.messages[0].retain) == (b"offline", True)

    def test_status_after_the_connection_was_lost(
        self,
        broker: MqttBroker,
        subscriber: Subscriber,
        proxy: Callable[[int], FaultyProxy],
        tmp_path: Path,
    ) -> None:
        between = proxy(broker.port)
        with publisher(url_of(between.port) + "?status=true", tmp_path) as sink:
            feed(sink, 0, 1)
            wait_for_all(sink, subscriber, 1)
            between.drop()
            wait_until(lambda: subscriber.status("cameras/cam/status") == ["online", "offline"])
            feed(sink, 1, 2)
            wait_for_all(sink, subscriber, 2)
        wait_until(lambda: len(subscriber.status("cameras/cam/status")) == 4)


class TestFailures:
    def test_down_at_the_start(
        self,
        broker: MqttBroker,
        subscriber: Subscriber,
        proxy: Callable[[int], FaultyProxy],
        tmp_path: Path,
    ) -> None:
        between = proxy(broker.port)
        between.refuse()
        sink = publisher(url_of(between.port), tmp_path)
        feed(sink, 0, 20)
        wait_until(lambda: sink.delivery.retries > 2)
        assert (sink.delivery.waiting, sink.delivery.last_error) == (20, "Connection refused")
        between.forward()
        wait_for_all(sink, subscriber, 20)
        sink.close()

    def test_lost_in_the_middle_again_and_again(
        self,
        broker: MqttBroker,
        subscriber: Subscriber,
        proxy: Callable[[int], FaultyProxy],
        tmp_path: Path,
    ) -> None:
        between = proxy(broker.port)
        sink = publisher(url_of(between.port), tmp_path)
        for round_ in range(5):
            feed(sink, 100 * round_, 100 * (round_ + 1))
            wait_until(lambda: between.connections)
            between.drop()
        wait_for_all(sink, subscriber, 500)
        sink.close()

    def test_a_broker_that_is_restarted(
        self,
        broker: MqttBroker,
        subscriber: Subscriber,
        proxy: Callable[[int], FaultyProxy],
        tmp_path: Path,
    ) -> None:
        between = proxy(broker.port)
        sink = publisher(url_of(between.port), tmp_path)
        feed(sink, 0, 10)
        wait_for_all(sink, subscriber, 10)
        between.refuse()
        broker.kill()
        feed(sink, 10, 20)
        wait_until(lambda: sink.delivery.retries)
        broker.start()
        subscriber.listening.wait()  # or it would miss what comes before
        between.forward()
        wait_for_all(sink, subscriber, 20)
        sink.close()

    def test_hangs_while_the_stream_goes_on(
        self, broker: MqttBroker, subscriber: Subscriber, tmp_path: Path
    ) -> None:
        sink = publisher(broker.url(TOPIC), tmp_path)
        feed(sink, 0, 1)
        wait_for_all(sink, subscriber, 1)
        broker.freeze()
        feed(sink, 1, 200)
        assert sink.delivery.sent == 1
        broker.thaw()
        wait_for_all(sink, subscriber, 200)
        sink.close()

    def test_silence_is_a_failure(
        self,
        broker: MqttBroker,
        subscriber: Subscriber,
        proxy: Callable[[int], FaultyProxy],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(Session, "timeout_seconds", 0.2)
        between = proxy(broker.port)
        between.stall()
        sink = publisher(url_of(between.port), tmp_path)
        feed(sink, 0, 5)
        wait_until(lambda: sink.delivery.retries)
        assert sink.delivery.last_error == "no answer in time"
        monkeypatch.setattr(Session, "timeout_seconds", 10.0)
        between.forward()
        wait_for_all(sink, subscriber, 5)
        sink.close()

    def test_closing_hangs_up_on_a_broker_that_hangs(
        self, broker: MqttBroker, subscriber: Subscriber, tmp_path: Path
    ) -> None:
        threads = threading.active_count()
        sink = publisher(broker.url(TOPIC) + "?status=true", tmp_path)
        feed(sink, 0, 1)
        wait_for_all(sink, subscriber, 1)
        broker.freeze()
        feed(sink, 1, 50)
        sink.close()
        assert sink.delivery.waiting == 49
        wait_until(lambda: threading.active_count() == threads)
        broker.thaw()
        with publisher(broker.url(TOPIC), tmp_path) as again:
            wait_until(lambda: not again.delivery.waiting)
        wait_until(lambda: subscriber.indices == list(range(50)))

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n" * 20, b"\x20\x00", b" "])
    def test_what_answers_is_no_broker(
        self, answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Session, "timeout_seconds", 0.3)
        with SilentServer(answer, bytes_per_second=10_000) as server:
            sink = publisher(url_of(server.port), tmp_path)
            feed(sink, 0, 1)
            wait_until(lambda: sink.delivery.retries)
            sink.close()
        assert (sink.delivery.waiting, sink.delivery.refused) == (1, 0)
        assert sink.delivery.last_error in ("the answer is not MQTT", "no answer in time")

    def test_leaves_no_thread_and_no_descriptor(
        self,
        broker: MqttBroker,
        subscriber: Subscriber,
        proxy: Callable[[int], FaultyProxy],
        tmp_path: Path,
    ) -> None:
        between = proxy(broker.port)
        before = threading.active_count(), psutil.Process().num_fds()
        gc.disable()  # nothing may depend on when it runs
        try:
            sink = publisher(url_of(between.port), tmp_path)
            for round_ in range(10):
                feed(sink, round_, round_ + 1)
                wait_for_all(sink, subscriber, round_ + 1)
                between.drop()
            between.refuse()
            feed(sink, 10, 11)
            wait_until(lambda: sink.delivery.retries > 15)
            between.forward()
            wait_for_all(sink, subscriber, 11)
            sink.close()
            wait_until(lambda: not between.connections)
            wait_until(lambda: (threading.active_count(), psutil.Process().num_fds()) <= before)
        finally:
            gc.enable()


class TestRefusals:
    def test_a_wrong_password(self, mqtt_broker: Callable[..., MqttBroker], tmp_path: Path) -> None:
        broker = mqtt_broker(user="me", password="p@/#ss")
        with Subscriber(broker.port, "me", "p@/#ss") as subscriber:
            sink = publisher(broker.url(TOPIC, user="me", password="Sesame"), tmp_path)
            feed(sink, 0, 3)
            wait_until(lambda: sink.delivery.retries)
            assert sink.delivery.last_error == "the broker answers: Not authorized"
            sink.close()
            sink = publisher(broker.url(TOPIC, user="me", password="p@/#ss"), tmp_path)
            wait_for_all(sink, subscriber, 3)
            sink.close()

    def test_messages_that_are_too_large(
        self, broker: MqttBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        configure(broker, "message_size_limit 2000")
        with Subscriber(broker.port) as subscriber:
            sink = publisher(broker.url(TOPIC), tmp_path)
            feed(sink, 0, 2)
            feed(sink, 2, 4, stream="x" * 2000)
            feed(sink, 4, 6)
            wait_until(lambda: not sink.delivery.waiting)
            wait_until(lambda: subscriber.indices == [0, 1, 4, 5])
            sink.close()
        assert (sink.delivery.sent, sink.delivery.refused, sink.delivery.retries) == (4, 2, 0)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "refuses results: the answer is not MQTT" in caplog.text

    def test_topics_that_are_not_allowed(
        self, broker: MqttBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rules = broker.folder / "rules"
        rules.write_text("topic read #\ntopic write cameras/cam\n")
        configure(broker, f"acl_file {rules}")
        with Subscriber(broker.port) as subscriber:
            sink = publisher(broker.url(TOPIC), tmp_path)
            feed(sink, 0, 3)
            feed(sink, 3, 5, stream="secret")
            feed(sink, 5, 7)
            wait_until(lambda: subscriber.indices == [0, 1, 2, 5, 6])
            wait_until(lambda: not sink.delivery.waiting)
            sink.close()
        assert (sink.delivery.sent, sink.delivery.refused, sink.delivery.retries) == (5, 2, 0)
        assert "refuses results: the broker answers: Not authorized" in caplog.text

    def test_messages_that_would_end_the_connection(
        self, broker: MqttBroker, tmp_path: Path
    ) -> None:
        configure(broker, "max_packet_size 2000")
        with Subscriber(broker.port) as subscriber:
            sink = publisher(broker.url(TOPIC), tmp_path)
            feed(sink, 0, 1, stream="x" * 2000)
            feed(sink, 1, 2)
            wait_until(lambda: subscriber.indices == [1])
            sink.close()
        assert (sink.delivery.refused, sink.delivery.retries) == (1, 0)

    def test_more_in_flight_than_the_broker_allows(
        self, broker: MqttBroker, tmp_path: Path
    ) -> None:
        configure(broker, "max_inflight_messages 3")
        with Subscriber(broker.port) as subscriber:
            sink = publisher(broker.url(TOPIC) + "?status=true", tmp_path)
            feed(sink, 0, 50)
            wait_for_all(sink, subscriber, 50)
            assert sink._receiver._session._in_flight == 3  # mosquitto does not mind
            sink.close()
        assert sink.delivery.retries == 0

    def test_a_broker_that_only_knows_mqtt_3(
        self, broker: MqttBroker, subscriber: Subscriber, tmp_path: Path
    ) -> None:
        with OldBroker(broker.port) as old:
            sink = publisher(url_of(old.port), tmp_path)
            feed(sink, 0, 10)
            wait_for_all(sink, subscriber, 10)
            sink.close()
        assert (old.versions, sink.delivery.retries) == ([5, 4], 1)


class TestTls:
    # paho leaves it to Python to close the socket of a handshake that failed.
    @pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
    def test_is_verified(
        self, broker: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certificate = make_certificate(broker.folder)
        configure(broker, f"certfile {certificate}\nkeyfile {certificate}")
        url = broker.url(TOPIC + "?status=true").replace("mqtt:", "mqtts:")
        with publisher(url, tmp_path) as sink:
            feed(sink, 0, 5)
            wait_until(lambda: sink.delivery.retries)
        reason = "its certificate is not trusted (self-signed certificate)"
        assert (sink.delivery.last_error, sink.delivery.waiting) == (reason, 5)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with publisher(url, tmp_path) as sink:
            wait_until(lambda: not sink.delivery.waiting)
            broker.freeze()
            feed(sink, 5, 6)
        broker.thaw()
        sink._thread.join()  # the connection is cut, though the broker hung
        assert sink.delivery.waiting == 1


class TestOpening:
    @pytest.mark.parametrize(
        ("rest", "message"),
        [
            ("", r"mqtt://host:1883 has no topic; name one, as in mqtt://host:1883/cameras/\{str"),
            ("/", "has no topic"),
            ("/a/%23", r"the topic 'a/#' cannot be published to: it may not hold \+, #"),
            ("/a/+/b", "cannot be published to"),
            ("/{steam}", r"cannot be published to: .* but for \{stream\}"),
            ("/a?retain=true", r"has an option that is not known; there is \?status=true"),
            ("/a?status=maybe", "has an option that is not known"),
        ],
    )
    def test_says_what_is_wrong(self, rest: str, message: str, tmp_path: Path) -> None:
        url = f"mqtt://me:secret@host{rest}"
        for act in (lambda: open_sink(url, tmp_path), lambda: check_kind(url)):
            with pytest.raises(SinkError, match=message) as raised:
                act()
            assert "secret" not in str(raised.value)
