"""What a feed has to tell, until the supervisor comes for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from threading import Condition
from time import perf_counter

import numpy as np

from streamdyn.cluster.course import Spent
from streamdyn.cluster.messages import Checkpoint, Outcome, Report, Tally
from streamdyn.sources import SourceReport
from streamdyn.sources.camera_events import CameraReport
from streamdyn.status import Event, Limit

LONGEST = 256  # outcomes that wait; then the feed does
LARGEST = 16 << 20  # bytes of arrays in these; one outcome may be larger
KEPT_DAMAGE = 100  # damaged ranges that each report tells of: the newest


class Outbox:
    """Filled by a feed, emptied by whoever speaks for the supervisor, in another thread."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._before = Tally()  # what the source counted where this pass over it began
        self._outcomes: list[Outcome] = []
        self._events: list[Event] = []
        self._checkpoint: Checkpoint | None = None
        self._bytes = 0  # of the outcomes
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
        tally.emitted = before.emitted + report.emitted
        tally.corrupt = before.corrupt + report.corrupt
        tally.dropped = before.dropped + report.dropped
        damage = (*before.damage, *report.damage)
        tally.damage = damage[-KEPT_DAMAGE:]
        forgotten = before.damage_forgotten + report.damage_forgotten
        tally.damage_forgotten = forgotten + len(damage) - len(tally.damage)
        if isinstance(report, CameraReport):
            tally.reconnects, tally.gap_seconds = report.reconnects, report.gap_seconds
            tally.frames_to_recover = report.frames_to_recover

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
        start, size = perf_counter(), _bytes(outcome)
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(size) or self._ended)
            self._outcomes.append(outcome)
            self._bytes += size
            self._changed.notify_all()
        self._spend("sinks", perf_counter() - start)

    def _has_room(self, size: int) -> bool:
        fits = self._bytes + size <= LARGEST or not self._outcomes
        return fits and len(self._outcomes) < LONGEST

    @property
    def _due(self) -> bool:
        """Whether not to wait for more before all is taken."""
        full = len(self._outcomes) >= LONGEST // 2 or self._bytes >= LARGEST // 2
        return full or self._ended or bool(self._events)

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
            self._changed.wait_for(lambda: self._due, wait_seconds)
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
            self._bytes = 0
            self._changed.notify_all()
            return report


def _bytes(outcome: Outcome) -> int:
    """Of its arrays; the rest is small."""
    arrays = [] if outcome.frame is None else [outcome.frame.image]
    if outcome.prediction is not None:
        result = outcome.prediction.result
        found = (getattr(result, field.name) for field in fields(result))
        arrays += [value for value in found if isinstance(value, np.ndarray)]
    return sum(array.nbytes for array in arrays)
