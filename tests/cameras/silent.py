"""A server that accepts and says nothing, or hardly anything."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

from streamdyn.bench.cameras.ports import HOST, free_port


class SilentServer:
    """Accepts every connection and stays silent on it.

    Args:
        trickle: bytes to send after all, one at a time, the same to all clients.

    Attributes:
        accepted: how many connections came.
    """

    def __init__(self, trickle: bytes = b"", *, bytes_per_second: float = 1.0) -> None:
        self.port = free_port()
        self.accepted = 0
        self._trickle = trickle
        self._seconds = 1 / bytes_per_second
        self._stopping = threading.Event()
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        if trickle:
            self._threads.append(threading.Thread(target=self._send))

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, self.port))
        self._listener.settimeout(0.05)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._clients):
            end.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                self._clients.append(self._listener.accept()[0])
                self.accepted += 1

    def _send(self) -> None:
        for byte in self._trickle:
            if self._stopping.wait(self._seconds):
                return
            for client in list(self._clients):
                with suppress(OSError):  # it has hung up
                    client.sendall(bytes([byte]))
