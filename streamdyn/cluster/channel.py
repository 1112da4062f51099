"""A socket from a decoder to a worker on the same node.

Two calls of actors take more than a millisecond, and a millisecond is a tenth of a picture.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from threading import Thread

_WAITING = 64  # connections that are not accepted yet


@dataclass(frozen=True, slots=True)
class Door:
    """Where a worker is reached by those on its node."""

    node: str
    address: str  # of a socket without a file: nothing is left of a process that was killed
    key: bytes = field(repr=False)


class Doorkeeper:
    """Answers what comes through a door, each connection in a thread of its own.

    Args:
        answer: called from these threads, with what a connection began with and each request.
    """

    def __init__(self, node: str, answer: Callable[[str, bytes], bytes]) -> None:
        self.door = Door(node, f"\0streamdyn-{secrets.token_hex(16)}", secrets.token_bytes(32))
        self._answer = answer
        self._listener = Listener(
            self.door.address, "AF_UNIX", backlog=_WAITING, authkey=self.door.key
        )
        Thread(target=self._accept, name="streamdyn-door", daemon=True).start()

    def _accept(self) -> None:
        while True:
            with suppress(OSError, EOFError, AuthenticationError):  # whoever it was, it is gone
                connection = self._listener.accept()
                Thread(
                    target=self._serve, args=(connection,), name="streamdyn-call", daemon=True
                ).start()

    def _serve(self, connection: Connection) -> None:
        with connection, suppress(OSError, EOFError):  # the decoder left
            caller = connection.recv_bytes().decode()
            while True:
                connection.send_bytes(self._answer(caller, connection.recv_bytes()))


class Channel:
    """A way through a door.

    Args:
        caller: who asks.

    Raises:
        OSError, EOFError: from this and `ask`: nobody is there any more.
    """

    def __init__(self, door: Door, caller: str) -> None:
        self._connection = Client(door.address, "AF_UNIX", authkey=door.key)
        self._connection.send_bytes(caller.encode())

    def ask(self, request: bytes) -> bytes:
        """Send a request, and wait for the answer."""
        self._connection.send_bytes(request)
        return self._connection.recv_bytes()

    def close(self) -> None:
        self._connection.close()
