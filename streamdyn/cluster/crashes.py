"""When to start again what broke, and when to give it up."""

from __future__ import annotations

from collections import deque

SECONDS = 60.0
MOST = 5  # crashes within so many seconds; one more, and the stream is given up
AT_ONE_PLACE = 3  # crashes of a recording in a row without a result: the next would be one too
# The same, of processes that serve other streams too: who ends them from outside, again and again,
# may well hit the same stream a few times.
AT_ONE_PLACE_SHARED = 6


class Crashes:
    """The crashes of one stream's processes."""

    def __init__(self) -> None:
        self.count = 0
        self.in_a_row = 0  # without a result between
        self.results: int | None = None  # that there were at the last one
        self._times: deque[float] = deque()  # of the last ones that are its own

    def note(self, now: float, results: int, *, live: bool, shared: bool = False) -> str | None:
        """Take note of a crash; return why to give up, if it is time to.

        A recording gives the same frame to the next process; a live stream gives others, and may
        have been off for days.

        Args:
            now: in seconds, of any clock that only goes forward.
            results: how many the stream has given.
            shared: of a process that serves other streams too, and may be not to blame.
        """
        self.count += 1
        self.in_a_row = self.in_a_row + 1 if results == self.results else 1
        self.results = results
        if not shared:
            self._times.append(now)
        while self._times and self._times[0] < now - SECONDS:
            self._times.popleft()
        if len(self._times) > MOST:
            return f"{len(self._times)} crashes in {SECONDS:g} s"
        if not live and self.in_a_row >= (AT_ONE_PLACE_SHARED if shared else AT_ONE_PLACE):
            return f"{self.in_a_row} crashes in a row without a result between"
        return None
