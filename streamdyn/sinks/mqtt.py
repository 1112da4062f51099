"""MQTT: a message per prediction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, unquote

from streamdyn.errors import SinkError
from streamdyn.sinks.address import Address
from streamdyn.sinks.delivery import Remote
from streamdyn.sinks.mqtt_session import GarbledError, Session
from streamdyn.sinks.receiver import Refusal, UndeliveredError
from streamdyn.sinks.spool import Batch, Spool


class Mqtt(Remote):
    """Publishes each prediction, as JSON and with QoS 1.

    The topic is the path of the URL; {stream} in it is the stream. With `?status=true`, the
    retained topic `<topic>/status` says whether the sink is "online" or "offline".

    Raises:
        SinkError: when it is made: the URL or the spool cannot be used.
    """

    def __init__(self, url: str, spool: Path) -> None:
        super().__init__(self.receiver(url), Spool(spool))

    @staticmethod
    def receiver(url: str) -> Broker:
        """Who takes what is sent to a URL; nothing is sent yet."""
        return Broker(Address.parse(url))


class Broker:
    """An MQTT broker. It is connected to when there is something to send, and then stays so."""

    batch_records = 100
    batch_seconds = 0.0

    def __init__(self, address: Address) -> None:
        self._address = address
        self._topic = _topic(address)
        self._status = _status(address)
        self._old = False  # whether it only knows MQTT 3.1.1
        self._session: Session | None = None
        self._lock = Lock()  # held while that changes
        self._closed = False

    def __str__(self) -> str:
        return f"{self._address}/{self._topic}"

    def send(self, batch: Batch) -> Refusal | None:
        messages = [(self._topic_of(record.stream), record.body) for record in batch.records]
        status = f"{self._topic_of(batch.records[0].stream)}/status" if self._status else None
        try:
            return self._connected(status).publish(messages)
        except GarbledError as error:
            return self._send_singly(messages, status, str(error))

    def _send_singly(
        self, messages: Sequence[tuple[str, bytes]], status: str | None, reason: str
    ) -> Refusal | None:
        """Send messages so that the one whose answer cannot be read is known: it is refused.

        Some brokers say that a message is too large in a way that MQTT has not.
        """
        refused = 0
        for message in messages:
            try:
                refusal = self._connected(status).publish([message])
            except GarbledError:
                refused += 1
            else:
                refused += refusal.records if refusal else 0
        return Refusal(refused, reason) if refused else None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
        if session:
            session.close()

    def _connected(self, status: str | None) -> Session:
        with self._lock:
            if self._closed:
                raise UndeliveredError("the sink is closed")
            if self._session and self._session.lost is None:
                return self._session
            if self._session:
                self._old = self._old or self._session.refused_version
                self._session.close()
            self._session = Session(self._address, status, old=self._old)
            session = self._session
        session.connect()
        return session

    def _topic_of(self, stream: str) -> str:
        return self._topic.replace("{stream}", re.sub(r"[/+#\x00]", "_", stream))


def _topic(address: Address) -> str:
    topic = unquote(address.path.removeprefix("/"))
    if not topic:
        raise SinkError(f"{address} has no topic; name one, as in {address}/cameras/{{stream}}")
    if re.search(r"[+#\x00{}]", topic.replace("{stream}", "")):
        raise SinkError(
            f"the topic {topic!r} cannot be published to: it may not hold +, #, or, but for "
            "{stream}, { and }"
        )
    return topic


def _status(address: Address) -> bool:
    options = parse_qs(address.query, keep_blank_values=True)
    match options.pop("status", ["false"]):
        case ["true" | "false" as value] if not options:
            return value == "true"
    raise SinkError(f"{address} has an option that is not known; there is ?status=true")
