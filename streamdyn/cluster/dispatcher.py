"""Gives streams to decoders and workers, and replaces what breaks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from threading import RLock
from time import monotonic
from typing import Any

import ray

from streamdyn.cluster.decoder import Decoder
from streamdyn.cluster.messages import Report
from streamdyn.cluster.placement import moves, place
from streamdyn.cluster.pool import Member, Pool
from streamdyn.cluster.runs import Run
from streamdyn.errors import SinkError, redact

log = logging.getLogger(__name__)

STARTING = 4  # decoders that start at once; more would only slow each other down
RECORDINGS = 8  # that run at once at least; live streams all do
IDLE_SECONDS = 30.0  # that a decoder without a stream is kept, for one that may come
BALANCE_SECONDS = 10.0  # between two looks at the loads of the workers


class Dispatcher:
    """All streams and processes of a run.

    Whoever holds the lock may call its methods; it takes the lock itself where a thread that
    writes results comes back to it.

    Args:
        writers: threads that write results.
        decoder_options: of the actors.
        cores: of the cluster.
        folder: what relative paths are relative to.
    """

    def __init__(
        self,
        pool: Pool,
        writers: Executor,
        decoder_options: dict[str, Any],
        cores: int,
        folder: str,
    ) -> None:
        self.lock = RLock()
        self.runs: dict[str, Run] = {}
        self.pool = pool
        self._writers = writers
        make: Any = ray.remote(Decoder)
        self._new_decoder = partial(
            make.options(max_concurrency=4, **decoder_options).remote, folder
        )
        self._recordings = max(cores, RECORDINGS)
        self._idle: deque[tuple[float, Any]] = deque()  # decoders, since their stream is over
        self._balanced_at = monotonic()

    def pending(self) -> dict[Any, Callable[[], None]]:
        """What answers are awaited, and what to do when they are there."""
        found: dict[Any, Callable[[], None]] = {}
        for run in self.runs.values():
            if run.pending is not None:
                found[run.pending] = partial(self._receive, run)
        for member in self.pool.members.values():
            if member.pending is not None:
                found[member.pending] = partial(self._receive_vitals, member)
        return found

    def turn(self) -> None:
        """Do what is due."""
        for run in self.runs.values():
            if run.finishing and not run.closing:
                run.closing = True
                self._writers.submit(self._close, run)
            elif run.decoder is not None and (why := run.hangs()):
                run.crashed(why)
        self._start_runs()
        self._assign()
        while self._idle and monotonic() - self._idle[0][0] > IDLE_SECONDS:
            ray.kill(self._idle.popleft()[1])
        self.pool.ask()
        for member in list(self.pool.members.values()):
            if why := member.hangs:
                self._lose(member, why)
            elif member.drained:
                self.pool.end(member.name)
            elif member.draining and self.pool.ready:
                self._empty(member)
        if monotonic() - self._balanced_at > BALANCE_SECONDS:
            self._balance()

    def drain(self, member: Member) -> None:
        """Move the streams of a worker to others that run; it ends when it has none."""
        member.draining = True
        if not self.pool.taking:
            self.pool.start({self.runs[name].work.model for name in member.streams})

    def kill_all(self, why: str) -> None:
        """End all processes, whatever they do, and with them the streams that still run."""
        for run in self.runs.values():
            if run.decoder is not None:
                run.kill_decoder()
                run.finish(why)
        while self._idle:
            ray.kill(self._idle.pop()[1])
        for name in tuple(self.pool.members):
            self.pool.end(name)

    def close_all(self) -> None:
        """Write what is left of streams that are not over, when nobody takes turns any more."""
        for run in self.runs.values():
            if not run.over:
                run.closed(_failure_of(partial(run.recorder.close, run.error)))

    def _start_runs(self) -> None:
        """Give decoders to streams whose time has come, a few at once."""
        active = [run for run in self.runs.values() if run.decoder is not None]
        starting = sum(run.starting for run in active)
        recordings = sum(not run.live for run in active)
        for run in self.runs.values():
            if starting >= STARTING or not self.pool.loads:
                return
            if run.due and (run.live or recordings < self._recordings):
                decoder = self._idle.pop()[1] if self._idle else self._new_decoder()
                run.begin(decoder, self._place(run.work.name))
                starting += 1
                recordings += not run.live

    def _receive(self, run: Run) -> None:
        report = run.receive()
        if report is not None:
            self._writers.submit(self._record, run, run.decoder, report)

    def _record(self, run: Run, decoder: Any, report: Report) -> None:
        """Write a report, then see to what it says; in a thread of the writers."""
        error = _failure_of(partial(run.recorder.record, report))
        with self.lock:
            if run.decoder is not decoder:  # it was killed meanwhile
                return
            if error:
                run.kill_decoder()
                run.finish(error)
            elif report.ended:
                self._idle.append((monotonic(), run.release_decoder()))
                run.finish(report.error)
            else:
                run.poll()

    def _close(self, run: Run) -> None:
        """Close what a stream has written; in a thread of the writers."""
        error = _failure_of(partial(run.recorder.close, run.error))
        with self.lock:
            run.closed(error)
            self._take(run.work.name)

    def _receive_vitals(self, member: Member) -> None:
        if why := member.receive():
            self._lose(member, why)

    def _lose(self, member: Member, why: str) -> None:
        """Replace a worker that is lost."""
        self.pool.end(member.name)
        runs = [self.runs[name] for name in member.streams]
        suspects = [run for run in runs if run.suspect]
        for run in runs:
            run.worker_lost(why, to_blame=suspects == [run] and member.vitals is not None)
        if not member.draining:
            self.pool.start({run.work.model for run in runs if not run.suspect})

    def _assign(self) -> None:
        """Give streams whose worker was lost to another.

        Those that may be to blame come one by one, to workers that have shown that they run.
        """
        waiting = [run for run in self.runs.values() if run.waits_for_worker]
        suspects = [run for run in waiting if run.suspect]
        if not self.pool.ready or any(run.on_trial for run in self.runs.values()):
            suspects = []
        for run in waiting:
            if self.pool.loads and (not run.suspect or run in suspects[:1]):
                run.assign(self._place(run.work.name))

    def _empty(self, member: Member) -> None:
        for name in tuple(member.streams):
            self.runs[name].assign(self._place(name))

    def _place(self, name: str) -> Member:
        """Give a stream to the worker that has it, or else to one that has little to do."""
        taking = self.pool.loads
        held = next((worker for worker, streams in taking.items() if name in streams), None)
        return self._give(name, held or place(taking))

    def _give(self, name: str, worker: str) -> Member:
        member = self.pool.members[worker]
        load = self._take(name)
        member.streams[name] = load
        return member

    def _take(self, name: str) -> float:
        """Take a stream from the worker that it was given to; return its load."""
        loads = [member.streams.pop(name, 0.0) for member in self.pool.members.values()]
        return max(loads, default=0.0)

    def _balance(self) -> None:
        self._balanced_at = monotonic()
        for member in self.pool.members.values():
            for name in member.streams:
                member.streams[name] = self.runs[name].recorder.load
        for name, worker in moves(self.pool.loads).items():
            self.runs[name].assign(self._give(name, worker))


def _failure_of(write: Callable[[], None]) -> str | None:
    """Write results; return why that failed, if it did. A stream must not wait for ever."""
    try:
        write()
    except SinkError as error:
        return str(error)
    except Exception as error:  # of the code
        log.exception("results could not be written")
        return f"writing results broke: {type(error).__name__}: {redact(str(error))}"
    return None
