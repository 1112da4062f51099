"""What a receiver of results is, and how it fails."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from streamdyn.errors import redact
from streamdyn.sinks.spool import Batch


class UndeliveredError(Exception):
    """A receiver has not taken a batch, and may take it later.

    Args:
        hopeless: until somebody mends it, as a password that the receiver does not know.
    """

    def __init__(self, reason: str, *, after_seconds: float = 0.0, hopeless: bool = False) -> None:
        super().__init__(redact(reason))
        self.hopeless = hopeless
        self.after_seconds = after_seconds  # which the receiver asks to be left alone for


def reason_of(error: OSError) -> str:
    """Why a connection failed, in plain words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or str(error) or type(error).__name__


def cut(connection: object) -> None:
    """End a connection, so that a thread that reads or writes it is woken; nothing if it is none.

    It is still to be closed.
    """
    if isinstance(connection, socket.socket):
        with suppress(OSError):
            # The method of a TLS socket may not be called while another thread uses that.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Records of a batch that a receiver will never take."""

    records: int
    reason: str


class Receiver(Protocol):
    """Whoever takes the records of a stream."""

    batch_records: int  # that it is sent at once, at most
    batch_seconds: float  # for which the first of them waits for others

    def send(self, batch: Batch) -> Refusal | None:
        """Send a batch; return once it has been taken, or in part refused.

        Raises:
            UndeliveredError: it is to be sent again.
        """

    def close(self) -> None:
        """Hang up. Called while `send` runs, it makes that fail."""

    def __str__(self) -> str:
        """What it is called, without credentials."""
