"""Finds the pictures that a decoder swallowed."""

from __future__ import annotations

import sys
from fractions import Fraction
from heapq import heappop, heappush

from streamdyn.sources.report import SourceReport

DAMAGED = "cannot be decoded"

REORDERED = 32  # pictures; codecs hold back fewer to reorder them


class DamageWatch:
    """Compares the pictures sent to a decoder with those that came out.

    Errors come late and out of order (decoders reorder pictures, and use threads), or not at all,
    so where the damage lies is told by the pictures that never came.

    Args:
        strict: whether each packet must show a picture. If not, one that does not come counts as
            lost only after an error.
    """

    def __init__(
        self, report: SourceReport, time_base: Fraction, step_seconds: float, strict: bool
    ) -> None:
        self._report = report
        self._time_base = time_base
        self._step_seconds = step_seconds
        self._waiting: list[int] = []  # heap of the stamps that were sent and did not come out
        self._newest = -sys.maxsize  # the latest stamp sent
        self._strict = strict
        self._begun = False  # before the first picture comes, others may be missing rightly
        self._what: str | None = None  # the error, while pictures sent before it may still come
        self._failed_at = self._until = 0  # stamps: sent when it came first, and newest when last
        self._found = False  # whether a lost picture was found for it

    @property
    def is_waiting(self) -> bool:
        """Whether pictures were sent that should come after all that came."""
        return bool(self._waiting)

    def sent(self, stamp: int) -> None:
        """A picture goes into the decoder."""
        if self._seconds(self._newest - stamp) > REORDERED * self._step_seconds:
            self._begin_anew()
        heappush(self._waiting, stamp)
        self._newest = max(self._newest, stamp)

    def failed(self, stamp: int | None, what: str) -> None:
        """The decoder gave an error when this picture was sent, or the file when it was read."""
        if self._what is None:
            self._what, self._found = what, False
            self._failed_at = max(self._newest, 0) if stamp is None else stamp
        self._until = self._newest

    def came(self, stamp: int) -> None:
        """A picture came out; they come in the order of presentation."""
        waiting = self._waiting
        lost = waiting[0] if waiting else stamp
        while waiting and waiting[0] <= stamp:
            heappop(waiting)
        if lost < stamp and (self._what is not None or (self._strict and self._begun)):
            self._add(lost, self._seconds(stamp))
            self._found = True
        if self._what is not None and stamp >= self._until:
            if not self._found:  # every picture came, but one of them is not whole
                self._add(self._failed_at, self._seconds(self._failed_at) + self._step_seconds)
            self._what = None
        self._begun = True

    def ended(self) -> None:
        """No more pictures will come."""
        if self._waiting and (self._what is not None or (self._strict and self._begun)):
            self._add(self._waiting[0], self._seconds(max(self._waiting)) + self._step_seconds)
        elif self._what is not None and not self._found:
            self._add(self._failed_at, self._seconds(self._failed_at) + self._step_seconds)

    def _begin_anew(self) -> None:
        """Forget what was sent: the times start again, as where recordings were joined."""
        self._waiting.clear()
        self._newest, self._begun, self._what = -sys.maxsize, False, None

    def _add(self, start: int, end_seconds: float) -> None:
        self._report.add_damage(
            self._seconds(start),
            end_seconds,
            self._what or DAMAGED,
            gap_seconds=2 * self._step_seconds,
        )

    def _seconds(self, stamp: int) -> float:
        return stamp * self._time_base.numerator / self._time_base.denominator
