"""Gives streams to decoders and workers, and replaces what breaks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any

import ray

from streamdyn.cluster.decoder import Decoder
from streamdyn.cluster.mailbox import Mailbox
from streamdyn.cluster.messages import Report
from streamdyn.cluster.placement import moves, place
from streamdyn.cluster.pool import Member, Pool
from streamdyn.cluster.runs import Run
from streamdyn.errors import SinkError, redact
from streamdyn.status import ActorStatus, StreamStatus

log = logging.getLogger(__name__)

WRITERS = 8  # threads that write results
CLOSERS = 32  # threads that close what is written
STARTING = 4  # decoders that start at once; more would only slow each other down
RECORDINGS = 8  # that run at once at least; live streams all do
IDLE_SECONDS = 30.0  # that a decoder without a stream is kept, for one that may come
PAUSE_SECONDS = 1.0  # between two turns: longer, and this process was stopped
BALANCE_SECONDS = 10.0  # between two looks at the loads of the workers


class Dispatcher:
    """All streams and processes of a run. Its methods are for one thread.

    Args:
        mailbox: of that thread; those that write results tell it there when they are done.
        decoder_options: of the actors.
        cores: of the cluster.
        folder: what relative paths are relative to.
    """

    def __init__(
        self,
        pool: Pool,
        mailbox: Mailbox,
        decoder_options: dict[str, Any],
        cores: int,
        folder: str,
    ) -> None:
        self.runs: dict[str, Run] = {}
        self.pool = pool
        self._post = mailbox.post
        self._writers = ThreadPoolExecutor(WRITERS, "streamdyn-write")
        self._closers = ThreadPoolExecutor(CLOSERS, "streamdyn-close")  # receivers may be slow
        make: Any = ray.remote(Decoder)
        self._new_decoder = partial(
            make.options(max_concurrency=4, **decoder_options).remote, folder
        )
        self._recordings = max(cores, RECORDINGS)
        self._idle: deque[tuple[float, Any]] = deque()  # decoders, since their stream is over
        self._balanced_at = self._turned_at = monotonic()

    def require_free(self, name: str) -> None:
        """Raise ValueError if there is a stream of that name that is not over."""
        if name in self.runs and not self.runs[name].over:
            raise ValueError(f"there is a stream {name} already; choose another name")

    def add(self, run: Run) -> None:
        """Take on a stream, in place of one of that name that is over."""
        self.runs[run.work.name] = run
        self.pool.prepare(run.work.model)

    def is_over(self) -> bool:
        """Whether all streams are."""
        return all(run.over for run in self.runs.values())

    def status(self) -> tuple[tuple[StreamStatus, ...], tuple[ActorStatus, ...]]:
        """Of all streams, and of all processes."""
        streams = tuple(run.status() for run in self.runs.values())
        members = [member.status() for member in self.pool.members.values()]
        decoders = [run.decoder_status() for run in self.runs.values()]
        return streams, tuple(actor for actor in (*members, *decoders) if actor is not None)

    def stop_all(self) -> None:
        """Let all streams end where they are."""
        for run in self.runs.values():
            run.stop()

    def pending(self) -> dict[Any, Callable[[], None]]:
        """What answers are awaited, and what to do when they are there."""
        found: dict[Any, Callable[[], None]] = {}
        for run in self.runs.values():
            if run.pending is not None:
                found[run.pending] = partial(self._receive, run, run.pending)
        for member in self.pool.members.values():
            if member.pending is not None:
                found[member.pending] = partial(self._receive_vitals, member, member.pending)
        return found

    def turn(self) -> None:
        """Do what is due."""
        self._excuse()
        for run in self.runs.values():
            if run.finishing and not run.closing:
                run.closing = True
                self._closers.submit(self._close, run)
            elif run.decoder is not None and (why := run.hangs()):
                run.crashed(why)
        self._tend_workers()
        self._start_runs()
        self._assign()
        while self._idle and monotonic() - self._idle[0][0] > IDLE_SECONDS:
            ray.kill(self._idle.popleft()[1])
        if monotonic() - self._balanced_at > BALANCE_SECONDS:
            self._balance()

    def kill_all(self, why: str) -> None:
        """End all processes, whatever they do, and with them the streams that still run."""
        for run in self.runs.values():
            if run.decoder is not None:
                run.kill_decoder()
                run.finish(why)
        while self._idle:
            ray.kill(self._idle.pop()[1])
        self.pool.wanted = 0
        for name in tuple(self.pool.members):
            self.pool.end(name)

    def close_all(self) -> None:
        """Write what is left of streams that are not over, when nobody takes turns any more."""
        for run in self.runs.values():
            if not run.over:
                run.closed(_failure_of(partial(run.recorder.close, run.error)))

    def shut_down(self) -> None:
        """Let go of the threads, once they have nothing more to do."""
        self._writers.shutdown()
        self._closers.shutdown()

    def _excuse(self) -> None:
        """Judge nobody silent for a time in which this process itself stood still."""
        now = monotonic()
        stood_still, self._turned_at = now - self._turned_at, now
        if stood_still > PAUSE_SECONDS:
            for run in self.runs.values():
                run.polled_at += stood_still
            for member in self.pool.members.values():
                member.asked_at += stood_still

    def _tend_workers(self) -> None:
        pool = self.pool
        runs = [run for run in self.runs.values() if not run.over]
        if runs and (why := pool.hopeless):
            for run in runs:
                if not run.finishing:
                    run.kill_decoder()
                    run.finish(why)
        pool.fill({run.work.model for run in runs if not run.suspect})
        pool.ask()
        for member in list(pool.members.values()):
            if why := member.hangs:
                self._lose(member, why)
            elif member.drained:
                pool.end(member.name)
            elif member.draining and pool.ready:
                for name in tuple(member.streams):
                    self.runs[name].assign(self._place(name))

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
                member = self._place(run.work.name)
                run.begin(decoder, member)
                starting += 1
                recordings += not run.live

    def _receive(self, run: Run, answer: Any) -> None:
        if run.pending is not answer:  # the decoder was ended since
            return
        try:
            report = run.receive()
        except Exception as error:  # of the code; the other streams go on
            log.exception("a report of %s could not be taken", run.work.name)
            run.kill_decoder()
            run.finish(f"its report broke: {type(error).__name__}: {redact(str(error))}")
            return
        if report is not None:
            self._writers.submit(self._record, run, run.decoder, report)

    def _record(self, run: Run, decoder: Any, report: Report) -> None:
        """Write a report; in a thread of the writers."""
        error = _failure_of(partial(run.recorder.record, report))
        self._post(partial(self._recorded, run, decoder, report, error))

    def _recorded(self, run: Run, decoder: Any, report: Report, error: str | None) -> None:
        """See to what a report says, now that it is written."""
        if run.decoder is not decoder:  # it was ended meanwhile
            return
        if error:
            run.kill_decoder()
            run.finish(error)
        elif report.ended:
            released = run.release_decoder()
            if report.reusable:
                self._idle.append((monotonic(), released))
            else:
                ray.kill(released)
            run.finish(report.error)
        else:
            run.poll()

    def _close(self, run: Run) -> None:
        """Close what a stream has written; in a thread of its own."""
        error = _failure_of(partial(run.recorder.close, run.error))
        self._post(partial(self._closed, run, error))

    def _closed(self, run: Run, error: str | None) -> None:
        self._take(run.work.name)
        run.closed(error)

    def _receive_vitals(self, member: Member, answer: Any) -> None:
        if member.pending is not answer:  # it was ended since
            return
        if why := member.receive():
            self._lose(member, why)
            return
        decoded = [run.work.name for run in self.runs.values() if run.decoder is not None]
        member.forget_all_but(decoded)

    def _lose(self, member: Member, why: str) -> None:
        """Part with a worker that is lost, and tell its streams."""
        self.pool.lose(member.name, why)
        runs = [self.runs[name] for name in member.streams]
        suspects = [run for run in runs if run.suspect]
        for run in runs:
            run.worker_lost(why, to_blame=suspects == [run] and member.vitals is not None)

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
