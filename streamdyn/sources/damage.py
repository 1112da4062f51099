"""Finds the pictures that a decoder swallowed."""

from __future__ import annotations

from fractions import Fraction
from heapq import heappop, heappush

from streamdyn.sources.report import SourceReport


class DamageWatch:
    """Compares the pictures sent to a decoder with those that came out, after it reported an error.

    Errors come late and out of order (decoders reorder pictures, and use threads), so they only
    say that there is damage; where it lies is told by the pictures that never came. Without an
    error nothing counts as lost: some codecs have packets that show nothing.
    """

    def __init__(self, report: SourceReport, time_base: Fraction, step_seconds: float) -> None:
        self._report = report
        self._time_base = time_base
        self._step_seconds = step_seconds
        self._waiting: list[int] = []  # heap of the stamps that were sent and did not come out
        self._newest = 0  # the latest stamp sent
        self._what: str | None = None  # the error, while pictures sent before it may still come
        self._failed_at = self._until = 0  # stamps: sent when it came first, and newest when last
        self._found = False  # whether a lost picture was found for it

    def sent(self, stamp: int) -> None:
        """A picture goes into the decoder."""
        heappush(self._waiting, stamp)
        self._newest = max(self._newest, stamp)

    def failed(self, stamp: int | None, what: str) -> None:
        """The decoder gave an error when this picture was sent, or the file when it was read."""
        if self._what is None:
            self._what, self._found = what, False
            self._failed_at = self._newest if stamp is None else stamp
        self._until = self._newest

    def came(self, stamp: int) -> None:
        """A picture came out; they come in the order of presentation."""
        waiting = self._waiting
        lost = waiting[0] if waiting else stamp
        while waiting and waiting[0] < stamp:
            heappop(waiting)
        if waiting and waiting[0] == stamp:
            heappop(waiting)
        if self._what is not None:
            self._judge(lost, stamp)

    def ended(self) -> None:
        """No more pictures will come."""
        if self._what is None:
            return
        if self._waiting:
            self._add(self._waiting[0], self._seconds(max(self._waiting)) + self._step_seconds)
        elif not self._found:
            self._add(self._failed_at, self._seconds(self._failed_at) + self._step_seconds)

    def _judge(self, lost: int, stamp: int) -> None:
        if lost < stamp:
            self._add(lost, self._seconds(stamp))
            self._found = True
        if stamp >= self._until:
            if not self._found:  # every picture came, but one of them is not whole
                self._add(self._failed_at, self._seconds(self._failed_at) + self._step_seconds)
            self._what = None

    def _add(self, start: int, end_seconds: float) -> None:
        self._report.add_damage(
            self._seconds(start),
            end_seconds,
            self._what or "",
            gap_seconds=2 * self._step_seconds,
        )

    def _seconds(self, stamp: int) -> float:
        return stamp * self._time_base.numerator / self._time_base.denominator
