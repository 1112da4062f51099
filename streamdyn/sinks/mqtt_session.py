"""One connection to an MQTT broker."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from threading import Condition

from streamdyn.sinks.address import Address
from streamdyn.sinks.mqtt_client import Client, DisconnectFlags, Properties, ReasonCode
from streamdyn.sinks.receiver import Refusal, UndeliveredError, reason_of

_PROTOCOL_ERROR = 0x82
_BAD_VERSION = 0x84
_QUOTA_EXCEEDED = 0x97
_LARGEST = 268_435_455  # bytes of a message
_LONGEST_TOPIC = 65_535  # bytes
_OVERHEAD = 16  # bytes of a message besides its topic and its text, at most
_IN_FLIGHT = 20  # messages; as many as paho allows
_GOODBYE_SECONDS = 0.5


class GarbledError(UndeliveredError):
    """The answer to a message cannot be read, and the connection is lost."""


class Session:
    """Publishes until the connection is lost; then it is of no more use."""

    timeout_seconds = 10.0  # for each step
    keep_alive_seconds = 15

    def __init__(self, address: Address, status: str | None, *, old: bool) -> None:
        """Prepare to connect.

        Args:
            status: the topic that is told "online" and "offline"; None: none is.
            old: speak MQTT 3.1.1, which cannot say why a message is refused.
        """
        self.lost: str | None = None  # why the connection has ended, or was never made
        self.refused_version = False
        self._garbled = False
        self._address = address
        self._status = status
        self._welcome = False  # whether the broker has let us in
        self._largest = _LARGEST  # bytes of a message that the broker takes
        self._in_flight = _IN_FLIGHT  # messages that it lets wait for its answer
        self._answers: dict[int, ReasonCode] = {}  # by the number of the message
        self._news = Condition()  # held while any of these changes
        self._client = self._make_client(old)

    def connect(self) -> None:
        """Connect and log in.

        Raises:
            UndeliveredError: it fails.
        """
        try:
            self._client.connect(
                self._address.host, self._address.port, keepalive=self.keep_alive_seconds
            )
        except OSError as error:
            self._lose(reason_of(error))
            raise UndeliveredError(reason_of(error)) from None
        self._client.loop_start()
        self._wait_until(lambda: self._welcome)
        if self._status:
            self._publish([(self._status, b"online")], retain=True)

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> Refusal | None:
        """Publish messages, given with their topics; return when the broker has answered to all.

        Raises:
            GarbledError: it has, to one of them, but with what paho does not understand.
            UndeliveredError: it has not.
        """
        fitting = [(topic, body) for topic, body in messages if self._fits(topic, body)]
        answers: list[ReasonCode] = []
        for start in range(0, len(fitting), self._in_flight):
            answers += self._publish(fitting[start : start + self._in_flight])
        if any(answer.value == _QUOTA_EXCEEDED for answer in answers):
            raise UndeliveredError("the broker answers: Quota exceeded")
        reasons = [str(answer) for answer in answers if answer.is_failure]
        reasons += ["Packet too large"] * (len(messages) - len(fitting))
        return Refusal(len(reasons), f"the broker answers: {reasons[0]}") if reasons else None

    def close(self) -> None:
        """Say goodbye if the broker listens, and hang up. Whoever waits for an answer is woken."""
        if self.lost is None and self._welcome:
            if self._status:
                self._client.publish(self._status, "offline", qos=1, retain=True)
            self._client.disconnect()
            with self._news:
                self._news.wait_for(lambda: self.lost is not None, timeout=_GOODBYE_SECONDS)
        self._lose("the connection was closed")
        self._client.hang_up()

    def _publish(
        self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False
    ) -> list[ReasonCode]:
        """Publish no more messages than may be in flight; return what the broker answers."""
        numbers = {
            self._client.publish(topic, body, qos=1, retain=retain).mid for topic, body in messages
        }
        self._wait_until(lambda: numbers <= self._answers.keys())
        with self._news:
            return [self._answers.pop(number) for number in numbers]

    def _make_client(self, old: bool) -> Client:
        client = Client(self._garble, old=old)
        client.connect_timeout = self.timeout_seconds
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        if self._address.user is not None:
            client.username_pw_set(self._address.user, self._address.password)
        if self._address.secure:
            client.tls_set_context(ssl.create_default_context())
        if self._status:
            client.will_set(self._status, "offline", qos=1, retain=True)
        return client

    def _on_connect(
        self,
        client: object,
        _: object,
        flags: object,
        reason: ReasonCode,
        limits: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.refused_version = reason.value == _BAD_VERSION
            self._lose(f"the broker answers: {reason}")
            return
        with self._news:
            self._in_flight = min(_IN_FLIGHT, _limit(limits, "ReceiveMaximum"))
            self._largest = _limit(limits, "MaximumPacketSize")
            self._welcome = True
            self._news.notify_all()

    def _on_disconnect(
        self, client: object, _: object, flags: DisconnectFlags, reason: ReasonCode, __: object
    ) -> None:
        if reason.value == _PROTOCOL_ERROR and not flags.is_disconnect_packet_from_server:
            self._garble()
        self._lose(f"the connection was lost ({reason})")

    def _garble(self) -> None:
        self._garbled = True
        self._lose("the answer is not MQTT")

    def _on_publish(
        self, client: object, _: object, number: int, reason: ReasonCode, __: object
    ) -> None:
        with self._news:
            self._answers[number] = reason
            self._news.notify_all()

    def _lose(self, reason: str) -> None:
        with self._news:
            self.lost = self.lost or reason
            self._news.notify_all()

    def _wait_until(self, done: Callable[[], bool]) -> None:
        with self._news:
            self._news.wait_for(
                lambda: self.lost is not None or done(), timeout=self.timeout_seconds
            )
            if self.lost is None and done():
                return
            self.lost = self.lost or "no answer in time"
            lost = self.lost
        self._client.hang_up()
        raise GarbledError(lost) if self._garbled and self._welcome else UndeliveredError(lost)

    def _fits(self, topic: str, body: bytes) -> bool:
        length = len(topic.encode())
        return length <= _LONGEST_TOPIC and length + len(body) + _OVERHEAD <= self._largest


def _limit(limits: Properties | None, name: str) -> int:
    """A limit that the broker sets; without one, what MQTT itself allows."""
    value: int = getattr(limits, name, _LARGEST)
    return value
