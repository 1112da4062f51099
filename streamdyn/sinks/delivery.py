"""Delivery over the network: at least once, in order, and never in the way of the stream."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from random import Random
from threading import Condition, Thread

from streamdyn.backoff import Backoff
from streamdyn.errors import SinkError, redact
from streamdyn.sinks.base import Sink
from streamdyn.sinks.line import Lines, to_utf8
from streamdyn.sinks.receiver import Receiver, Refusal, UndeliveredError
from streamdyn.sinks.spool import Batch, Record, Spool
from streamdyn.types import Frame, Prediction

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What has become of the records of a sink: each is sent, waiting, dropped or refused."""

    sent: int  # and taken
    waiting: int  # in the spool
    dropped: int  # because the spool was full
    refused: int  # by the receiver, for good
    retries: int  # attempts that failed, to be made again
    last_error: str | None  # without credentials
    receiver: str = ""  # without credentials


class Remote(Sink):
    """Sends predictions as JSON to a receiver, from a thread of its own, through a spool on disk.

    Nothing that the receiver does holds up or fails the stream. What it has not taken when the sink
    closes stays in the spool, and is sent by the next sink that has the same one.
    """

    wants_frame = False
    BATCH_BYTES = 1 << 20

    def __init__(
        self,
        receiver: Receiver,
        spool: Spool,
        *,
        backoff: Backoff | None = None,
        close_seconds: float = 2.0,
    ) -> None:
        self._receiver = receiver
        self._spool = spool  # as all below, only touched while `_changed` is held
        self._backoff = backoff or Backoff()
        self._chance = Random()
        self._close_seconds = close_seconds  # for which closing waits for what is not sent yet
        self._line = Lines()
        self._changed = Condition()
        self._closing = self._closed = False
        self._sent = self._refused = self._retries = 0
        self._last_error: str | None = None
        self._said: set[str] = set()
        self._failure: SinkError | None = None  # of the spool, in the thread
        self._thread = Thread(target=self._deliver, name=f"to {receiver}", daemon=True)
        self._thread.start()

    def __call__(self, prediction: Prediction, frame: Frame) -> None:
        record = Record(to_utf8(prediction.stream).decode("utf-8"), to_utf8(self._line(prediction)))
        with self._changed:
            if self._failure:
                raise self._failure
            self._spool.put(record)
            if self._spool.dropped:
                self._say_once(f"the spool for {self._receiver} is full: old results are dropped")
            self._changed.notify()

    @property
    def delivery(self) -> Delivery:
        """What has become of the records up to now, those of an earlier process included."""
        with self._changed:
            return Delivery(
                sent=self._sent,
                waiting=len(self._spool),
                dropped=self._spool.dropped,
                refused=self._refused,
                retries=self._retries,
                last_error=self._last_error,
                receiver=str(self._receiver),
            )

    def close(self) -> None:
        """Wait a moment for what waits to be sent; leave the rest to the next run."""
        with self._changed:
            if self._closed:
                return
            self._closing = True
            self._changed.notify()
        self._thread.join(self._close_seconds)
        with self._changed:
            self._closed = True
            self._changed.notify()
            self._spool.close()
            if waiting := len(self._spool):
                self._say_once(
                    f"{waiting} results for {self._receiver} wait in {self._spool.path}; "
                    "the next run of this stream into this folder sends them"
                )
        self._receiver.close()
        if self._failure:
            raise self._failure

    def _deliver(self) -> None:
        try:
            while batch := self._next_batch():
                if not self._send(batch):
                    return
        except SinkError as error:
            with self._changed:
                self._failure = error
        finally:
            self._receiver.close()

    def _next_batch(self) -> Batch | None:
        """Wait until a batch is due; None when the sink closes and nothing waits."""
        most = self._receiver.batch_records
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._spool)
            self._changed.wait_for(
                lambda: self._closing or len(self._spool) >= most,
                timeout=self._receiver.batch_seconds,
            )
            return None if self._closed else self._spool.claim(most, self.BATCH_BYTES)

    def _send(self, batch: Batch) -> bool:
        """Send a batch until it is settled; False when the sink has closed before."""
        attempt = 0
        while True:
            try:
                refusal = self._receiver.send(batch)
            except UndeliveredError as error:
                attempt += 1
                wait = self._backoff.seconds(None if error.hopeless else attempt, self._chance)
                if not self._pause(wait, error):
                    return False
            else:
                return self._settle(batch, refusal)

    def _pause(self, seconds: float, error: UndeliveredError) -> bool:
        """Wait before the next attempt; False when there is to be none.

        Closing cuts the wait short; where the receiver asked for it, there is no other attempt.
        """
        with self._changed:
            if self._closed:
                return False
            self._last_error = str(error)
            self._retries += 1
            self._say_once(f"cannot send results to {self._receiver}: {error}; they wait on disk")
            was_closing = self._closing
            self._changed.wait_for(
                lambda: self._closed or self._closing != was_closing,
                timeout=max(seconds, error.after_seconds),
            )
            return not (self._closed or (self._closing and error.after_seconds > 0))

    def _settle(self, batch: Batch, refusal: Refusal | None) -> bool:
        with self._changed:
            if self._closed:
                return False
            self._spool.settle()
            refused = refusal.records if refusal else 0
            self._sent += len(batch.records) - refused
            self._refused += refused
            if refusal:
                self._last_error = redact(refusal.reason)
                self._say_once(f"{self._receiver} refuses results: {self._last_error}")
            return True

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            log.warning(message)
