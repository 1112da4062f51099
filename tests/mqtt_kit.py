"""Who listens to an MQTT broker, and brokers as they are not delivered."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.cameras.mqtt import MqttBroker


class Subscriber:
    """Keeps what a broker hands out, also after a restart of the broker."""

    def __init__(self, port: int, user: str = "", password: str = "") -> None:
        self.messages: list[paho.MQTTMessage] = []
        self.listening = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        if user:
            self._client.username_pw_set(user, password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self.listening.set()
        self._client.on_disconnect = lambda *_: self.listening.clear()
        self._client.on_message = lambda _, __, message: self.messages.append(message)
        self._client.connect("127.0.0.1", port)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(m.payload) for m in self.messages if not m.topic.endswith("/status")]

    @property
    def indices(self) -> list[int]:
        """The frames told of, each when it first came."""
        return list(dict.fromkeys(record["index"] for record in self.records))

    def status(self, topic: str) -> list[str]:
        return [m.payload.decode() for m in self.messages if m.topic == topic]

    def __enter__(self) -> Self:
        self._client.loop_start()
        self.listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_subscribe = None
        self._client.on_disconnect = self._client.on_message = None


class OldBroker:
    """Turns away who speaks MQTT 5, and passes all others on to a broker.

    Attributes:
        versions: of the protocol, that of each client that came.
    """

    def __init__(self, port: int) -> None:
        self.versions: list[int] = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._ends: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it is shut down
            while True:
                client = self._listener.accept()[0]
                self._ends.append(client)
                hello = client.recv(1000)
                self.versions.append(hello[hello.index(b"MQTT") + 4])
                if self.versions[-1] == 5:
                    client.sendall(b"\x20\x02\x00\x01")  # CONNACK: unacceptable version
                    client.shutdown(socket.SHUT_RDWR)
                else:
                    self._pass_on(hello, client)

    def _pass_on(self, hello: bytes, client: socket.socket) -> None:
        broker = socket.create_connection(("127.0.0.1", self._target))
        self._ends.append(broker)
        broker.sendall(hello)
        for source, target in ((client, broker), (broker, client)):
            self._threads.append(threading.Thread(target=self._pump, args=(source, target)))
            self._threads[-1].start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)


def configure(broker: MqttBroker, line: str) -> None:
    """Start a broker again with one more setting."""
    with (broker.folder / "mosquitto.conf").open("a") as settings:
        settings.write(f"{line}\n")
    broker.restart()
