"""What a feed has to tell, until the supervisor comes for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from time import perf_counter

from streamdyn.cluster.course import Spent
from streamdyn.cluster.messages import Checkpoint, Outcome, Report, Tally
from streamdyn.sources import SourceReport
from streamdyn.sources.camera_events import CameraReport
from streamdyn.status import Event, Limit

LONGEST = 256  # outcomes that wait; then the feed does
LONGEST_WITH_FRAMES = 16  # the same, where they carry their pictures


class Outbox:
    """Filled by a feed, emptied by whoever speaks for the supervisor, in another thread."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._before = Tally()  # what the source counted where this pass over it began
        self._outcomes: list[Outcome] = []
        self._events: list[Event] = []
        self._checkpoint: Checkpoint | None = None
        self._most = LONGEST
        self._ended = False
        self._error: str | None = None
        self._changed = Condition()
        self._doing = ("starting", perf_counter())

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Say what the feed is at, and since when."""
        self._doing = what, perf_counter()
        try:
            yield
        finally:
            self._doing = "", perf_counter()

    @property
    def busy(self) -> bool:
        """Whether the feed is at a frame that it will put here."""
        return self._doing[0] in ("computing", "delivering")

    def begin(self, before: Tally) -> None:
        """Count a pass over the source that begins where so much was counted."""
        self._before = before

    def count(self, report: SourceReport) -> None:
        """Take over what the source says of itself."""
        before, tally = self._before, self.tally
        tally.decoded = before.decoded + report.decoded
        tally.corrupt = before.corrupt + report.corrupt
        tally.dropped = before.dropped + report.dropped
        tally.damage = (*before.damage, *report.damage)
        if isinstance(report, CameraReport):
            tally.reconnects, tally.gap_seconds = report.reconnects, report.gap_seconds

    def wait(self, stage: Limit, seconds: float) -> None:
        """Count the seconds that a frame took to come."""
        self._spend(stage, seconds)

    def spend(self, spent: Spent) -> None:
        """Count what a frame took on its way."""
        self._spend("policy", spent.policy)
        self._spend("engine", spent.engine)
        self._spend("transfer", spent.transfer)

    def put(self, outcome: Outcome) -> None:
        """Add an outcome; wait while there are too many."""
        start = perf_counter()
        with self._changed:
            self._most = LONGEST if outcome.frame is None else LONGEST_WITH_FRAMES
            self._changed.wait_for(lambda: len(self._outcomes) < self._most or self._ended)
            self._outcomes.append(outcome)
            self._changed.notify_all()
        self._spend("sinks", perf_counter() - start)

    def _spend(self, stage: Limit, seconds: float) -> None:
        self.tally.seconds[stage] = self.tally.seconds.get(stage, 0.0) + seconds

    def tell(self, event: Event) -> None:
        """Add an event."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def keep(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint in place of the last one."""
        with self._changed:
            self._checkpoint = checkpoint

    def end(self, error: str | None = None) -> None:
        """There will be no more outcomes."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def take(self, wait_seconds: float) -> Report:
        """All that there is, as soon as the feed has ended, or something waited for so long."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or self._events or len(self._outcomes) >= self._most // 2,
                wait_seconds,
            )
            what, since = self._doing
            report = Report(
                outcomes=tuple(self._outcomes),
                tally=self.tally.copy(),
                events=tuple(self._events),
                checkpoint=self._checkpoint,
                ended=self._ended,
                error=self._error,
                doing=what,
                doing_seconds=perf_counter() - since,
            )
            self._outcomes, self._events, self._checkpoint = [], [], None
            self._changed.notify_all()
            return report
