"""Presentation times: from the stamps of a container to seconds that always increase."""

from __future__ import annotations

import math
from fractions import Fraction

_NUDGE_SECONDS = 1e-6  # moves a repeated time on without passing the next true one
_JUMP_SECONDS = 1.0  # a step back of more than this is a new beginning, not a disorder


class Clock:
    """Reads the time of each frame in turn.

    A stamp is believed as it stands. Only what would not increase is mended: a missing one comes
    one step after the last, a repeated or slightly earlier one directly after it, and after a jump
    back (the camera began anew) time goes on from where it was.

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

    def seconds(self, stamp: int | None) -> float:
        """The time of the next frame, whose stamp in units of the time base is given."""
        last = self._last
        if stamp is None:
            seconds = self._start if last == -math.inf else last + self._step
        else:
            seconds = stamp * self._numerator / self._denominator + self._shift
        if seconds <= last:
            if last - seconds > _JUMP_SECONDS:
                self._shift += last + self._step - seconds
                seconds = last + self._step
            else:
                seconds = last + _NUDGE_SECONDS
        self._last = seconds
        return seconds
