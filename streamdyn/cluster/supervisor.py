"""Streams on a Ray cluster: begin here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from math import inf
from pathlib import Path
from time import monotonic, time
from types import TracebackType
from typing import Self

import ray

from streamdyn.cluster.connect import connected
from streamdyn.cluster.dispatcher import Dispatcher
from streamdyn.cluster.loop import Loop
from streamdyn.cluster.mailbox import Mailbox, Teller
from streamdyn.cluster.messages import Work
from streamdyn.cluster.pool import Pool
from streamdyn.cluster.recorder import Recorder
from streamdyn.cluster.runs import Run
from streamdyn.cluster.sizing import actor_options, sizes
from streamdyn.errors import SourceError
from streamdyn.output import SaveTo
from streamdyn.sinks import wants_frame
from streamdyn.sources import Source
from streamdyn.specs import EngineSettings, StreamSpec
from streamdyn.status import Event, RunStatus
from streamdyn.summary import StreamSummary
from streamdyn.types import Prediction

STOP_SECONDS = 2.5  # for streams to end where they are; then their processes are killed
CLOSE_SECONDS = 1.0  # to write what is left of those


def _ignore(stream: str, event: Event) -> None:
    """Nobody wants to know."""


class Supervisor:
    """Runs streams on a Ray cluster, as a context manager. Its methods are for any thread.

    Results go to a folder for each stream. When it is left, streams that still run are stopped.

    Args:
        output: the folder of these folders.
        ray_address: see `connected`.
        on_event: told of what happens to the streams, one event after the other, from a thread of
            its own.
        streams: how many to expect, if they are known; see `sizes`.
        spool: a folder for what waits for receivers over the network, for the next run to send it
            too; None: the folders of the results.

    Raises:
        StreamdynError: when entered: there is no such cluster.
    """

    def __init__(
        self,
        settings: EngineSettings,
        output: Path,
        ray_address: str = "local",
        on_event: Callable[[str, Event], None] = _ignore,
        *,
        streams: int = 1,
        spool: Path | None = None,
    ) -> None:
        self._streams = streams
        self._settings = settings
        self._output = output
        self._address = ray_address
        self._on_event = on_event
        self._spool = spool
        self._folders: set[Path] = set()  # that were given to streams
        self._entered: tuple[Dispatcher, Loop] | None = None
        self._stack = ExitStack()
        self._began_at = monotonic()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(connected(self._address))
            self._tell = Teller(self._on_event)
            stack.callback(self._tell.close)
            mailbox = Mailbox()
            dispatcher = self._new_dispatcher(mailbox)
            stack.callback(dispatcher.shut_down)
            self._entered = dispatcher, Loop(dispatcher, mailbox)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        dispatcher, loop = self._running
        with self._stack:
            loop.ask(dispatcher.stop_all)
            loop.wait_until(dispatcher.is_over, STOP_SECONDS)
            why = loop.broken or "it did not stop in time"
            loop.ask(lambda: dispatcher.kill_all(why))
            loop.wait_until(dispatcher.is_over, CLOSE_SECONDS)
            loop.stop()
            dispatcher.close_all()

    def add(self, stream: StreamSpec) -> None:
        """Start a stream.

        Raises:
            ValueError: there is one of that name.
            StreamdynError: it cannot be started.
        """
        self.add_work(_work(stream), stream.save)

    def add_work(
        self,
        work: Work,
        save: Sequence[SaveTo],
        *,
        picture: bool = False,
        on_prediction: Callable[[Prediction], None] | None = None,
    ) -> None:
        """Start a stream whose source is open already.

        Args:
            save: see `Recorder`, as for the rest.

        Raises:
            ValueError: there is one of that name.
        """
        dispatcher, loop = self._running
        if loop.stopped:
            raise RuntimeError("this supervisor has ended; make another")

        def add() -> None:
            dispatcher.require_free(work.name)
            recorder = Recorder(
                work.name,
                work.source.url,
                self._new_folder(work.name),
                save,
                picture=picture,
                spool=self._spool and self._spool / work.name,
                on_prediction=on_prediction,
            )
            recorder.summary.target = work.quality.target if work.quality else None
            dispatcher.add(Run(work, recorder, self._tell))

        loop.ask(add)

    def remove(self, name: str) -> None:
        """Stop a stream; what it gave until then is written, soon.

        Raises:
            KeyError: there is none of that name.
        """
        dispatcher, loop = self._running
        loop.ask(lambda: dispatcher.runs[name].stop())

    def change(self, stream: StreamSpec) -> None:
        """Let a stream go on as another, once it has ended; the indices of a live one go on.

        Raises:
            KeyError: there is none of that name.
            ValueError: another of that name was started meanwhile.
            StreamdynError: it cannot be started.
        """
        work = _work(stream)
        dispatcher, loop = self._running
        old = dispatcher.runs[stream.name]
        loop.ask(old.stop)
        loop.wait_until(lambda: old.over)
        loop.raise_fault()
        place = old.recorder.place
        if old.live and place is not None and _is_live(work.source):
            work = replace(work, source=work.source.resumed(place))
        self.add_work(work, stream.save)

    def add_worker(self) -> None:
        """Start one more worker."""
        dispatcher, loop = self._running
        loop.ask(dispatcher.pool.want_one_more)

    def drain_worker(self, name: str) -> None:
        """Move the streams of a worker to others, and end it.

        Raises:
            KeyError: there is none of that name.
        """
        dispatcher, loop = self._running
        loop.ask(lambda: dispatcher.pool.drain(name))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all streams are over; return whether they are.

        Args:
            timeout: seconds to wait at most; None: as long as it takes.

        Raises:
            StreamdynError: the run broke.
        """
        dispatcher, loop = self._running
        over = loop.wait_until(dispatcher.is_over, inf if timeout is None else timeout)
        loop.raise_fault()
        return over

    def status(self) -> RunStatus:
        """What runs, and how well; also before it begins, and after its end."""
        seconds = monotonic() - self._began_at
        if self._entered is None:
            return RunStatus(time(), seconds)
        dispatcher, loop = self._entered
        return RunStatus(time(), seconds, *loop.ask(dispatcher.status))

    @property
    def summaries(self) -> list[StreamSummary]:
        """The figures of all streams, in the order in which they were added."""
        if self._entered is None:
            return []
        dispatcher, loop = self._entered
        return loop.ask(lambda: [run.recorder.summary for run in dispatcher.runs.values()])

    @property
    def _running(self) -> tuple[Dispatcher, Loop]:
        if self._entered is None:
            raise RuntimeError("a supervisor is a context manager; enter it first")
        return self._entered

    def _new_dispatcher(self, mailbox: Mailbox) -> Dispatcher:
        settings, local, folder = self._settings, self._address == "local", os.getcwd()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores = int(resources.get("CPU", 1))
        found = sizes(settings, cores, self._streams)
        # On a cluster of our own nobody else runs: there is nothing to keep free. Decoders are
        # many and light: they go wherever there is room.
        cpus = 0.0 if local else float(found.threads)
        pool = Pool(found.workers, found.threads, settings.worker, cpus, folder)
        return Dispatcher(pool, mailbox, actor_options(settings.decoder, 0.0), cores, folder)

    def _new_folder(self, name: str) -> Path:
        """A folder for the results of a stream, or of what it was changed to."""
        folder, number = self._output / name, 1
        while folder in self._folders:
            number += 1
            folder = self._output / f"{name}-{number}"
        self._folders.add(folder)
        return folder


def _work(stream: StreamSpec) -> Work:
    policy = stream.make_policy()
    return Work(
        name=stream.name,
        source=stream.open(policy),
        policy=stream.policy,
        model=stream.model,
        quality=stream.quality,
        policy_timeout_seconds=stream.policy_timeout_seconds,
        wants_frames=any(map(wants_frame, stream.save)),
    )


def _is_live(source: Source) -> bool:
    try:
        return source.live
    except SourceError:
        return True  # a camera that is off cannot be asked
