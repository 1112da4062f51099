"""Presentation times: from the stamps of a container to seconds that always increase."""

from __future__ import annotations

import math
from fractions import Fraction

_NUDGE_SECONDS = 1e-6  # moves a repeated time on without passing the next true one
_JUMP_SECONDS = 1.0  # two frames in a row further back than this: time has begun anew


class Clock:
    """Reads the time of each frame in turn.

    A stamp is believed as it stands. Only what would not increase is mended: a missing one comes
    one step after the last, a repeated or earlier one directly after it; and where time begins anew
    (a camera restarted, recordings were joined) it goes on from where it was.

    Args:
        start_seconds: the time of a first frame that has no stamp.
        step_seconds: the usual distance of two frames.
    """

    def __init__(self, time_base: Fraction, start_seconds: float, step_seconds: float) -> None:
        self._numerator, self._denominator = time_base.numerator, time_base.denominator
        self._start = start_seconds
        self._step = step_seconds
        self._last = -math.inf
        self._shift = 0.0
        self._was_late = False

    def seconds(self, stamp: int | None) -> float:
        """The time of the next frame, whose stamp in units of the time base is given."""
        last = self._last
        if stamp is None:
            seconds = self._start if last == -math.inf else last + self._step
        else:
            seconds = stamp * self._numerator / self._denominator + self._shift
        late, self._was_late = self._was_late, seconds <= last
        if seconds <= last:
            if late and last - seconds > _JUMP_SECONDS:
                self._shift += last + self._step - seconds
                seconds = last + self._step
            else:
                seconds = max(last + _NUDGE_SECONDS, math.nextafter(last, math.inf))
        self._last = seconds
        return seconds
