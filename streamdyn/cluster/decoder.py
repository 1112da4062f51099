"""The process that decodes one stream and decides what to compute of it."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from dataclasses import replace
from threading import Condition, Event, Thread
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from streamdyn.cluster.channel import Channel, Door
from streamdyn.cluster.feed import Feed
from streamdyn.cluster.messages import Answer, Checkpoint, EngineLostError, Report, Work
from streamdyn.cluster.outbox import Outbox
from streamdyn.cluster.worker import vitals
from streamdyn.errors import StreamdynError, redact
from streamdyn.logs import redact_logs
from streamdyn.models.cut import Intake

RENEW_SECONDS = 0.2  # before a worker that gave no answer is asked again

Handle = Any  # of an actor: Ray makes its methods, and no types for them


class RayConnection:
    """The way to the worker that a stream is given to."""

    def __init__(self, work: Work, worker: Handle) -> None:
        self._work = work
        self._worker: Handle | None = None  # that the stream was opened at
        self._given = worker
        self._channel: Channel | None = None  # to it, if it is on this node
        self._changed = Condition()

    def assign(self, worker: Handle) -> None:
        """Give the stream to another worker: it moves there as soon as it may."""
        with self._changed:
            self._given = worker
            self._changed.notify_all()

    @property
    def moved(self) -> bool:
        return self._given is not self._worker

    def open(self, size: tuple[int, int]) -> Intake:
        left, self._worker = self._worker, self._given
        if left is not self._worker:
            self._hang_up()
            if left is not None:
                left.close.remote(self._work.name)
        intake: Intake = self._ask("open", self._work.name, self._work.model, size)
        if self._channel is None:
            self._channel = self._approach()
        return intake

    def compute(self, payload: bytes) -> Answer:
        answer: Answer
        if self._channel is None:
            answer = self._ask("compute", self._work.name, payload)
            return answer
        try:
            answer = _told(pickle.loads(self._channel.ask(payload)))
        except (OSError, EOFError):
            self._hang_up()
            self._ask("door")  # tells whether it died
            self._worker = None
            raise EngineLostError("the worker hung up") from None
        return answer

    def renew(self, stop: Event) -> None:
        stop.wait(RENEW_SECONDS)
        with self._changed:
            while self._given is None and not stop.is_set():
                self._changed.wait(0.2)

    def close(self) -> None:
        self._hang_up()
        if self._worker is not None:
            self._worker.close.remote(self._work.name)

    def _approach(self) -> Channel | None:
        """The short way to the worker, if there is one."""
        door: Door = self._ask("door")
        if door.node == ray.get_runtime_context().get_node_id():
            with suppress(OSError, EOFError):  # if it died, the next call tells
                return Channel(door, self._work.name)
        return None

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _ask(self, method: str, *values: object) -> Any:
        worker = self._worker
        if worker is None:
            raise EngineLostError("the stream has no worker")
        try:
            answer = ray.get(getattr(worker, method).remote(*values))
        except ActorUnavailableError:  # of which it may come back
            self._worker = None
            raise EngineLostError("the worker cannot be reached") from None
        except RayActorError:
            with self._changed:
                if self._given is worker:
                    self._given = None  # until it is given to one that lives
            self._worker = None
            raise EngineLostError("the worker died") from None
        except RayTaskError as error:
            raise StreamdynError(f"the worker failed: {redact(repr(error.cause))}") from None
        except RayError as error:
            raise EngineLostError(f"the worker did not answer: {type(error).__name__}") from None
        return _told(answer)


def _told(answer: Any) -> Any:
    """What a worker answered; what went wrong is raised."""
    if isinstance(answer, Exception):
        raise answer
    return answer


class Decoder:
    """Feeds as an actor: one stream after the other, in a thread of its own.

    Args:
        folder: what relative paths are relative to.
    """

    def __init__(self, folder: str) -> None:
        redact_logs()
        if os.path.isdir(folder):
            os.chdir(folder)

    def begin(self, work: Work, worker: Handle, checkpoint: Checkpoint | None) -> Report:
        """Run a stream, when the one before has ended; return the first report.

        Args:
            worker: the actor that computes.
        """
        self._outbox = Outbox()
        self._connection = RayConnection(work, worker)
        self._feed = Feed(work, self._connection, self._outbox, checkpoint)
        Thread(target=self._feed.run, name="streamdyn-feed", daemon=True).start()
        return self.poll(0.0)

    def poll(self, wait_seconds: float) -> Report:
        """What came since the last poll; see `Outbox.take`."""
        report, feed = self._outbox.take(wait_seconds), self._feed
        return replace(
            report,
            live=feed.live,
            queue=feed.queue,
            stuck=feed.stuck,
            reusable=not feed.leaves_traces,
            vitals=vitals(),
        )

    def assign(self, worker: Handle) -> None:
        """Give the stream to another worker."""
        self._connection.assign(worker)

    def stop(self) -> None:
        """End after the frame that is being computed; a poll will say so."""
        self._feed.stop()
