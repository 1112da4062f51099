"""Calls from any thread to the one that they are for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TypeVar

from streamdyn.status import Event

log = logging.getLogger(__name__)

T = TypeVar("T")


class Mailbox:
    """Calls that one thread makes for all others, in order: what they touch needs no lock.

    Once it is closed there is no such thread any more, and whoever asks makes the call.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._lock = Lock()
        self._closed = False

    def post(self, call: Callable[[], object]) -> None:
        """Have a call made; nobody waits for it."""
        self._calls.put(call)

    def ask(self, call: Callable[[], T]) -> T:
        """Have a call made, and wait for it; return what it returns, or raise what it raises."""
        answer: Future[T] = Future()
        with self._lock:
            if self._closed:
                return call()
            self._calls.put(lambda: _make(call, answer))
        return answer.result()

    def work_off(self) -> None:
        """Make the calls that wait. For the thread that they are for."""
        while True:
            try:
                call = self._calls.get_nowait()
            except Empty:
                return
            call()

    def close(self) -> None:
        """Make the calls that wait; there will be no thread for more."""
        with self._lock:
            self._closed = True
            self.work_off()


def _make(call: Callable[[], T], answer: Future[T]) -> None:
    try:
        answer.set_result(call())
    except BaseException as error:  # raised again where the call comes from
        answer.set_exception(error)


class Teller:
    """Tells of events from a thread of its own: whoever listens may be slow, or fail."""

    def __init__(self, listen: Callable[[str, Event], None]) -> None:
        self._listen = listen
        self._events: SimpleQueue[tuple[str, Event] | None] = SimpleQueue()
        self._thread = Thread(target=self._tell, name="streamdyn-events", daemon=True)
        self._thread.start()

    def __call__(self, stream: str, event: Event) -> None:
        """Tell of an event, soon."""
        self._events.put((stream, event))

    def close(self, seconds: float = 1.0) -> None:
        """Tell what is left, if that does not take longer than this."""
        self._events.put(None)
        self._thread.join(seconds)

    def _tell(self) -> None:
        while (told := self._events.get()) is not None:
            try:
                self._listen(*told)
            except Exception:  # of whoever listens; the streams go on
                log.exception("nobody could be told of an event")
