"""Streams on a Ray cluster: begin here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from math import inf
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from time import monotonic, sleep, time
from types import TracebackType
from typing import Self

import ray

from streamdyn.cluster.connect import connected
from streamdyn.cluster.dispatcher import Dispatcher
from streamdyn.cluster.messages import Work
from streamdyn.cluster.pool import Pool
from streamdyn.cluster.recorder import Recorder
from streamdyn.cluster.runs import Run
from streamdyn.cluster.sizing import actor_options, sizes
from streamdyn.errors import StreamdynError
from streamdyn.output import SaveTo
from streamdyn.sinks import wants_frame
from streamdyn.specs import EngineSettings, StreamSpec
from streamdyn.status import Event, RunStatus
from streamdyn.summary import StreamSummary
from streamdyn.types import Prediction

WRITERS = 4  # threads that write results
TURN_SECONDS = 0.05  # at most between two looks at what is due
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
        on_event: told of what happens to the streams; called from other threads.
        spool: a folder for what waits for receivers over the network, for the next run to send it
            too; None: the folders of the results.
    """

    def __init__(
        self,
        settings: EngineSettings,
        output: Path,
        ray_address: str = "local",
        on_event: Callable[[str, Event], None] = _ignore,
        *,
        spool: Path | None = None,
    ) -> None:
        self._settings = settings
        self._output = output
        self._address = ray_address
        self._on_event = on_event
        self._spool = spool
        self._folders: set[Path] = set()  # that were given to streams
        self._dispatcher: Dispatcher | None = None  # from entering on
        self._closed = Flag()
        self._stack = ExitStack()
        self._began_at = monotonic()
        self._fault: BaseException | None = None  # of the thread that sees to everything

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(connected(self._address))
            local, folder = self._address == "local", os.getcwd()
            resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            cores = int(resources.get("CPU", 1))
            found = sizes(self._settings, cores)
            # On a cluster of our own nobody else runs: there is nothing to keep free.
            cpus = 0.0 if local else float(found.threads)
            pool = Pool(found.threads, self._settings.worker, cpus, folder)
            writers = stack.enter_context(ThreadPoolExecutor(WRITERS, "streamdyn-write"))
            options = actor_options(self._settings.decoder, 0.0 if local else 0.5)
            self._dispatcher = Dispatcher(pool, writers, options, cores, folder)
            for _ in range(found.workers):
                pool.start()
            self._thread = Thread(target=self._supervise, name="streamdyn-supervisor", daemon=True)
            self._thread.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            dispatcher = self._running
            with dispatcher.lock:
                for run in dispatcher.runs.values():
                    run.stop()
            self._wait_until(self._is_over, STOP_SECONDS)
            with dispatcher.lock:
                dispatcher.kill_all(self._broken or "it did not stop in time")
            self._wait_until(self._is_over, CLOSE_SECONDS)
            self._closed.set()
            self._thread.join()
            if self._broken:
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
        dispatcher = self._running
        with dispatcher.lock:
            runs = dispatcher.runs
            if work.name in runs and not runs[work.name].over:
                raise ValueError(f"there is a stream {work.name} already; choose another name")
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
            runs[work.name] = Run(work, recorder, self._on_event)

    def remove(self, name: str) -> None:
        """Stop a stream; what it gave until then is written.

        Raises:
            KeyError: there is none of that name.
        """
        with self._running.lock:
            self._running.runs[name].stop()

    def change(self, stream: StreamSpec) -> None:
        """Let a stream go on as another; the indices of a live one go on.

        Raises:
            KeyError: there is none of that name.
            StreamdynError: it cannot be started.
        """
        work = _work(stream)
        self.remove(stream.name)
        old = self._running.runs[stream.name]
        self._wait_until(lambda: old.over)
        self._raise_fault()
        place = old.recorder.place
        if old.live and place is not None:
            work = replace(work, source=work.source.resumed(place))
        self.add_work(work, stream.save)

    def add_worker(self) -> None:
        """Start one more worker."""
        with self._running.lock:
            self._running.pool.start()

    def drain_worker(self, name: str) -> None:
        """Move the streams of a worker to others, and end it.

        Raises:
            KeyError: there is none of that name.
        """
        with self._running.lock:
            self._running.drain(self._running.pool.members[name])

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all streams are over; return whether they are.

        Args:
            timeout: seconds to wait at most; None: as long as it takes.

        Raises:
            StreamdynError: the run broke.
        """
        over = self._wait_until(self._is_over, inf if timeout is None else timeout)
        self._raise_fault()
        return over

    def status(self) -> RunStatus:
        """What runs, and how well."""
        dispatcher, seconds = self._dispatcher, monotonic() - self._began_at
        if dispatcher is None:
            return RunStatus(time(), seconds)
        with dispatcher.lock:
            streams = tuple(run.status() for run in dispatcher.runs.values())
            members = [member.status() for member in dispatcher.pool.members.values()]
            decoders = [run.decoder_status() for run in dispatcher.runs.values()]
        actors = tuple(actor for actor in (*members, *decoders) if actor is not None)
        return RunStatus(time(), seconds, streams, actors)

    @property
    def summaries(self) -> list[StreamSummary]:
        """The figures of all streams, in the order in which they were added."""
        if self._dispatcher is None:
            return []
        with self._dispatcher.lock:
            return [run.recorder.summary for run in self._dispatcher.runs.values()]

    @property
    def _running(self) -> Dispatcher:
        if self._dispatcher is None:
            raise RuntimeError("a supervisor is a context manager; enter it first")
        return self._dispatcher

    def _supervise(self) -> None:
        """See to all streams and processes, until closed."""
        dispatcher = self._running
        try:
            while not self._closed.is_set():
                with dispatcher.lock:
                    dispatcher.turn()
                    pending = dispatcher.pending()
                if not pending:
                    self._closed.wait(TURN_SECONDS)
                    continue
                ready, _ = ray.wait(list(pending), timeout=TURN_SECONDS)
                if ready:
                    ready, _ = ray.wait(list(pending), num_returns=len(pending), timeout=0)
                with dispatcher.lock:
                    for answer in ready:
                        pending[answer]()
        except BaseException as error:  # whoever waits must hear of it
            self._fault = error

    def _wait_until(self, condition: Callable[[], bool], seconds: float = inf) -> bool:
        """Wait so long for a condition, or until the run broke; return whether it holds."""
        deadline = monotonic() + seconds
        while not (holds := condition()) and self._fault is None and monotonic() < deadline:
            sleep(TURN_SECONDS)
        return holds

    @property
    def _broken(self) -> str | None:
        """Why the run cannot go on, if it broke."""
        return f"the run broke: {self._fault!r}" if self._fault is not None else None

    def _raise_fault(self) -> None:
        if self._broken:
            raise StreamdynError(self._broken) from self._fault

    def _is_over(self) -> bool:
        with self._running.lock:
            return all(run.over for run in self._running.runs.values())

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
