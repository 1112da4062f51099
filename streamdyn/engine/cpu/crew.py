"""Programs: calls of kernels that threads compute together, one after another, in one native call.

What the threads do is in `streamdyn.engine.cpu.work`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.call import JOINED, RECORD, Call, word_of
from streamdyn.engine.cpu.work import DOOR, INSIDE, SEMAPHORE, STATE, THREADS, lead, serve
from streamdyn.errors import ModelError

VARIABLE: Final = "STREAMDYN_THREADS"
MOST_THREADS: Final = 16  # by default: few blocks leave little to do for more

_MAKING: Final = threading.Lock()  # of crews


class Program:
    """Calls to run in this order, any number of times; their arrays are read at each run."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = tuple(calls)  # keeps their arrays alive
        self._own: dict[Crew, _Records] = {}  # its helpers, if late, look at those of no other

    def run(self) -> None:
        """Run all calls. Other Python threads run meanwhile, and may run other programs."""
        ours = crew()
        ours.run(self._own.get(ours) or self._own.setdefault(ours, _Records(self.calls)))


class _Records:
    """What compiled code reads and writes of some calls while it runs them."""

    def __init__(self, calls: tuple[Call, ...]) -> None:
        words = [call.record() for call in calls]
        self.calls = calls
        self.words = np.array(words, np.int64).reshape(-1, RECORD)
        self.words[-1:, JOINED] = 0  # nothing follows
        self.address = word_of(self.words)


def run(*calls: Call) -> None:
    """Run calls in this order, once."""
    Program(calls).run()


class Crew:
    """Helper threads, asleep while there is nothing to do. They end with the process."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._state = _state(threads)
        self._address = word_of(self._state)
        self._busy = threading.Lock()
        self._last: _Records | None = None
        self._lead = lead()
        if threads > 1:
            ctypes.CDLL(None).sem_init(ctypes.c_void_p(self._address + 8 * SEMAPHORE), 0, 0)
        for number in range(1, threads):
            threading.Thread(target=self._serve, args=(number,), daemon=True).start()

    def _serve(self, number: int) -> None:
        """Help. As a method, so that the memory that helpers share lasts as long as they do."""
        serve()(self._address, number)

    def run(self, records: _Records) -> None:
        """Run calls, with all threads if these are free, or else alone."""
        if self._busy.acquire(blocking=False):
            try:
                if self._state[DOOR] & INSIDE == 0:
                    # A helper that comes or leaves late may still look at what it found.
                    self._last = records
                    self._lead(self._address, records.address, len(records.calls))
                    return
            finally:
                self._busy.release()
        # Both are kept by a name: compiled code only knows their addresses.
        alone, state = _Records(records.calls), _state(threads=1)
        self._lead(word_of(state), alone.address, len(alone.calls))


@cache
def crew() -> Crew:
    """The crew of this process, with a thread for each processor that it may use, up to 16.

    The environment variable STREAMDYN_THREADS, as it is at first, sets another number.

    Raises:
        ModelError: it is set to something else.
    """
    wanted = os.environ.get(VARIABLE)
    threads = min(_processors(), MOST_THREADS) if wanted is None else _number(wanted)
    with _MAKING:  # or two threads that come first would make two
        return _crew(os.getpid(), threads)


def _number(wanted: str) -> int:
    if not wanted.isdecimal() or not 1 <= int(wanted) <= 1024:
        raise ModelError(f"{VARIABLE} is a number from 1 to 1024, not {wanted!r}")
    return int(wanted)


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def set_threads(threads: int) -> None:
    """Compute with so many threads from now on, in the whole process.

    Raises:
        ModelError: it is no number that makes sense.
    """
    _number(str(threads))
    os.environ[VARIABLE] = str(threads)
    crew.cache_clear()
    crew()


@cache
def _crew(_process: int, threads: int) -> Crew:
    """A crew for each number: its threads last as long as the process, so its memory must."""
    # Semaphores without a name are a privilege of Linux.
    return Crew(threads if sys.platform.startswith("linux") else 1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_MAKING.acquire, after_in_parent=_MAKING.release)
    os.register_at_fork(after_in_child=_MAKING.release)
    os.register_at_fork(after_in_child=crew.cache_clear)  # a child has none of the threads


def _state(threads: int) -> NDArray[np.int64]:
    state = np.zeros(STATE, np.int64)
    state[THREADS] = threads
    return state
