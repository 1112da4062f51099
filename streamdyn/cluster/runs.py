"""One stream, whichever process decodes it at the moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic, time
from typing import Any

import ray
from ray.exceptions import RayError

from streamdyn.cluster.crashes import Crashes
from streamdyn.cluster.ending import cause_of_death, end
from streamdyn.cluster.messages import Checkpoint, Report, Work
from streamdyn.cluster.pool import GET_SECONDS, Member
from streamdyn.cluster.recorder import Recorder
from streamdyn.status import ActorStatus, Event, StreamState, StreamStatus

POLL_SECONDS = 0.1  # that outcomes wait with the decoder; the age of results grows by as much
LAZY_POLL_SECONDS = 0.5  # the same for recordings, whose results have no age: to ask costs 3 ms
SILENT_SECONDS = 10.0  # without an answer, and a decoder is taken for dead
START_SECONDS = 120.0  # the same, for its first answer
READ_SECONDS = 60.0  # that a recording may take for one frame
TRIAL_SECONDS = 10.0  # for a stream that may be what ends its workers to give a result
FIRST_WAIT_SECONDS = 0.25  # before a stream is started again; doubled with each crash in a row
LONGEST_WAIT_SECONDS = 10.0

OVER: tuple[StreamState, ...] = ("ended", "stopped", "failed")


class Run:
    """A stream, from when it is added until it is over, and after.

    Args:
        on_event: told of what happens to it.
    """

    def __init__(
        self, work: Work, recorder: Recorder, on_event: Callable[[str, Event], None]
    ) -> None:
        self.work = work
        self.recorder = recorder
        self.state: StreamState = "waiting"
        self.start_at = monotonic()  # not before
        self.decoder: Any = None  # the actor, while there is one
        self.pending: Any = None  # its report
        self.worker: str | None = None  # that the stream is given to
        self.finishing = False  # nothing more comes
        self.closing = False  # what came is being written
        self.error: str | None = None
        self._on_event = on_event
        self._event: Event | None = None
        self._report: Report | None = None  # the last one
        self._checkpoint: Checkpoint | None = None
        self._crashes = Crashes()
        self.polled_at = self._assigned_at = 0.0
        self._stopping = False
        self._orders: list[tuple[Any, ...]] = []  # for a decoder that has not answered yet

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it, and all that came is written."""
        return self.state in OVER

    @property
    def live(self) -> bool:
        """Whether it is a live stream; before its decoder has answered, as its address looks."""
        url = self.work.source.url
        return self.recorder.live or ("://" in url and not url.startswith("synthetic:"))

    @property
    def due(self) -> bool:
        """Whether to give it a decoder."""
        idle = self.decoder is None and not self.finishing and not self.over
        return idle and monotonic() >= self.start_at

    @property
    def waits_for_worker(self) -> bool:
        """Whether it is decoded, and computed nowhere."""
        return self.decoder is not None and self.worker is None and not self.finishing

    @property
    def suspect(self) -> bool:
        """Whether it may be what ends its workers: it gave no result between the last two ends."""
        crashes = self._crashes
        return crashes.in_a_row > 1 and crashes.results == self.recorder.results

    @property
    def on_trial(self) -> bool:
        """Whether it is a suspect that a worker has just been given."""
        recent = monotonic() - self._assigned_at < TRIAL_SECONDS
        return self.suspect and self.worker is not None and recent

    @property
    def starting(self) -> bool:
        """Whether its decoder has not answered yet."""
        return self.decoder is not None and self._report is None

    def begin(self, decoder: Any, member: Member) -> None:
        """Let a decoder run the stream from where it is, and a worker compute it."""
        self.recorder.summary.journey.worker = member.name
        self.decoder, self.worker, self._assigned_at = decoder, member.name, monotonic()
        self._report, self._orders = None, []
        self.tell("connecting")
        self.polled_at = monotonic()
        self.pending = decoder.begin.remote(self._from_here(), member.actor, self._checkpoint)

    def assign(self, member: Member) -> None:
        """Give the stream to another worker."""
        self.recorder.summary.journey.worker = member.name
        self.worker, self._assigned_at = member.name, monotonic()
        self._order("assign", member.actor)

    def poll(self) -> None:
        """Ask the decoder for what is new."""
        self.polled_at = monotonic()
        seconds = POLL_SECONDS if self.live else LAZY_POLL_SECONDS
        self.pending = self.decoder.poll.remote(seconds)

    def receive(self) -> Report | None:
        """The report that was asked for; None if the decoder is lost."""
        pending, self.pending = self.pending, None
        try:
            report: Report = ray.get(pending, timeout=GET_SECONDS)
        except RayError as error:
            self.crashed(cause_of_death(error, "the decoder"), to_blame=not self.starting)
            return None
        self._report = report
        while self._orders:
            self._order(*self._orders.pop(0))
        self._checkpoint = report.checkpoint or self._checkpoint
        for event in report.events:
            self._note(event)
        # A live stream says so itself; it may have been lost again since.
        if report.outcomes and not report.live and self.state in ("connecting", "reconnecting"):
            self.tell("running")
        return report

    def hangs(self) -> str | None:
        """Why to kill the decoder, if there is a reason."""
        if self.pending is None:  # what it told is being written
            return None
        silent = monotonic() - self.polled_at
        patience = START_SECONDS if self.starting else SILENT_SECONDS
        if silent > patience:
            return f"the decoder was silent for {silent:.0f} s"
        report = self._report
        if report and report.stuck:
            return "the decoder hangs"
        reading = report and not report.live and report.doing in ("starting", "opening", "reading")
        if report and reading and report.doing_seconds > READ_SECONDS:
            return f"no frame was decoded for {report.doing_seconds:.0f} s"
        return None

    def crashed(self, why: str, *, to_blame: bool = True) -> None:
        """Begin anew after the loss of the decoder, or give up.

        Args:
            to_blame: it had begun with the stream; otherwise it may be its node that is lost.
        """
        self.kill_decoder()
        self.recorder.replace_decoder()
        shared = not to_blame
        if reason := self._note_crash(shared):
            self.finish(f"{why}: {reason}")
        elif self._stopping:
            self.finish()
        else:
            wait = FIRST_WAIT_SECONDS * 2 ** min(self._crashes.in_a_row - 1, 10)
            self.start_at = monotonic() + min(wait, LONGEST_WAIT_SECONDS)
            self.tell("reconnecting", "decoder lost", why)

    def worker_lost(self, why: str, *, to_blame: bool) -> None:
        """Wait for another worker, or give up.

        Args:
            to_blame: it is the only stream that may have ended the worker.
        """
        self.worker = None
        shared = not (to_blame and self.live)
        if reason := self._note_crash(shared):
            self.kill_decoder()
            self.finish(f"{why}: {reason}")
        else:
            self.tell(self.state, "worker lost", why)

    def stop(self) -> None:
        """End the stream where it is."""
        if self.over or self.finishing:
            return
        self._stopping = True
        self.tell("draining")
        if self.decoder is None:
            self.finish()
        else:
            self._order("stop")

    def finish(self, error: str | None = None) -> None:
        """Nothing more comes; whoever sees `finishing` closes what is written."""
        self.finishing, self.error = True, error

    def closed(self, error: str | None) -> None:
        """What came is written, or not: then there is an error. The stream is over."""
        self.error = self.error or error
        state: StreamState = "stopped" if self._stopping else "ended"
        self.tell("failed" if self.error else state, message=self.error or "")
        self.finishing = self.closing = False

    def release_decoder(self) -> Any:
        """Give the decoder back, to run another stream."""
        decoder, self.decoder = self.decoder, None
        return decoder

    def kill_decoder(self) -> None:
        """End the decoder's process, whatever it does."""
        if self.decoder is not None:
            end(self.decoder, self._report.vitals if self._report else None)
        self.decoder = self.pending = None

    def tell(self, state: StreamState, cause: str | None = None, message: str = "") -> None:
        """Take on a state, and tell of it."""
        self._note(Event(time(), state, cause, message))

    def status(self) -> StreamStatus:
        """All figures."""
        status = StreamStatus(
            self.work.name,
            self.work.source.url,
            state=self.state,
            event=self._event,
            crashes=self._crashes.count,
            worker=self.worker,
            error=self.error,
        )
        return self.recorder.fill(status)

    def decoder_status(self) -> ActorStatus | None:
        """That of the process that decodes it, if it has answered."""
        vitals = self._report.vitals if self._report and self.decoder is not None else None
        if vitals is None:
            return None
        name, streams = f"decoder-{self.work.name}", (self.work.name,)
        return ActorStatus(
            name, "decoder", vitals.pid, vitals.node, streams, memory_bytes=vitals.memory_bytes
        )

    def _note_crash(self, shared: bool) -> str | None:
        results, live = self.recorder.results, self.live
        return self._crashes.note(monotonic(), results, live=live, shared=shared)

    def _order(self, method: str, *values: Any) -> None:
        """Tell the decoder something, once it has answered: it would not know what about."""
        if self.starting:
            self._orders.append((method, *values))
        elif self.decoder is not None:
            getattr(self.decoder, method).remote(*values)

    def _from_here(self) -> Work:
        """The work, for a new decoder: a live stream goes on after its last frame."""
        place, live = self.recorder.place, self._checkpoint is None and self.recorder.live
        if live and place is not None:
            return replace(self.work, source=self.work.source.resumed(place))
        return self.work

    def _note(self, event: Event) -> None:
        if self.over:
            return
        if not self._stopping or event.state in (*OVER, "draining"):
            self.state = event.state
        self._event = event
        self._on_event(self.work.name, event)
