"""Webhooks: batches of predictions, posted to a web server."""

from __future__ import annotations

import socket
import ssl
import string
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, responses
from pathlib import Path
from threading import Event, Timer
from urllib.parse import quote

from streamdyn.sinks.address import Address
from streamdyn.sinks.delivery import Remote
from streamdyn.sinks.receiver import Refusal, UndeliveredError, cut, reason_of
from streamdyn.sinks.spool import Batch, Spool

# What is wrong with the records themselves: they will never be taken.
_REFUSED = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
# Errors of the client that pass by themselves; the others pass when somebody mends the server, or
# the address or password of it.
_SOON = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_LONGEST_AFTER = 3600.0  # seconds that a server can ask to be left alone for


class Webhook(Remote):
    """Posts predictions to a URL, as JSON arrays of up to a hundred, about once a second.

    Raises:
        SinkError: when it is made: the URL or the spool cannot be used.
    """

    def __init__(self, url: str, spool: Path) -> None:
        super().__init__(self.receiver(url), Spool(spool))

    @staticmethod
    def receiver(url: str) -> WebReceiver:
        """Who takes what is sent to a URL; nothing is sent yet."""
        return WebReceiver(Address.parse(url))


class WebReceiver:
    """A web server. Each batch gets a connection of its own, for one that waits may have ended."""

    batch_records = 100
    batch_seconds = 1.0
    timeout_seconds = 10.0  # for all of a request

    def __init__(self, address: Address) -> None:
        self._address = address
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._target = quote(target, safe=string.punctuation)  # it may have letters such as ä
        self._context = ssl.create_default_context() if address.secure else None
        self._socket: socket.socket | None = None
        self._closed = False

    def __str__(self) -> str:
        return str(self._address)

    def send(self, batch: Batch) -> Refusal | None:
        late = Event()
        try:
            with self._connected(late) as connection:
                connection.request("POST", self._target, _body(batch), self._headers(batch))
                with connection.getresponse() as response:
                    if late.is_set():  # an answer that is cut off can look like a whole one
                        raise TimeoutError
                    with suppress(OSError, HTTPException):
                        response.read(1 << 16)  # lest the server see its answer cut off
                    return _judge(response, len(batch.records))
        except HTTPException:
            reason = "the answer is not HTTP, or is cut off"
        except OSError as error:
            reason = reason_of(error)
        raise UndeliveredError(reason_of(TimeoutError()) if late.is_set() else reason)

    def close(self) -> None:
        self._closed = True
        cut(self._socket)

    def _headers(self, batch: Batch) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": batch.key,
            "User-Agent": "streamdyn",
            "Connection": "close",
        }
        if self._address.user is not None:
            login = f"{self._address.user}:{self._address.password or ''}"
            headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        return headers

    @contextmanager
    def _connected(self, late: Event) -> Iterator[HTTPConnection]:
        """A connection that ends when its time is over, and then sets `late`."""
        address, timeout = self._address, self.timeout_seconds
        connection = (
            HTTPSConnection(address.host, address.port, timeout=timeout, context=self._context)
            if address.secure
            else HTTPConnection(address.host, address.port, timeout=timeout)
        )
        timer = Timer(timeout, self._expire, [late])
        timer.daemon = True
        timer.start()
        try:
            connection.connect()
            self._socket = connection.sock
            if self._closed:
                raise UndeliveredError("the sink is closed")
            yield connection
        finally:
            timer.cancel()
            self._socket = None
            connection.close()

    def _expire(self, late: Event) -> None:
        late.set()
        cut(self._socket)


def _body(batch: Batch) -> bytes:
    return b"[" + b",\n".join(record.body for record in batch.records) + b"]\n"


def _judge(response: HTTPResponse, records: int) -> Refusal | None:
    """What an answer means for the records of a batch.

    Raises:
        UndeliveredError: they are to be sent again.
    """
    status = response.status
    if 200 <= status < 300:
        return None
    # Not the reason that the server gives, which can be anything.
    reason = f"the server answers {status} {responses.get(status, '')}".rstrip()
    if status in _REFUSED:
        return Refusal(records, reason)
    if 300 <= status < 400:
        reason += "; give the URL that it redirects to"
    raise UndeliveredError(
        reason,
        after_seconds=retry_after(response.headers["Retry-After"]),
        hopeless=400 <= status < 500 and status not in _SOON,
    )


def retry_after(text: str | None) -> float:
    """Seconds to wait, of a Retry-After header: a number of them, or a date. 0 for anything else.

    >>> retry_after("120")
    120.0
    """
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        # A date without a zone is in UTC, as all dates of HTTP are.
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_AFTER)
