"""Threads that run kernels together, and the one native call that drives a whole network.

A `Call` is a kernel with its arguments; a `Program` runs calls one after another without coming
back to Python. The pixels of a call are cut into pieces; each thread takes those of its own share
first, which are the same pixels in call after call and so still in its cache, then what is left
of the others'. A helper that the system has not woken yet is never waited for, so a busy machine
costs a call what it takes and no more. (Numba's own threading layers hand each thread its part in
advance and wait for the last.)
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamdyn.engine.cpu.emit import Native, inlined
from streamdyn.engine.cpu.memory import put_word, word
from streamdyn.engine.cpu.threads import (
    atomic_add,
    atomic_read,
    atomic_replace,
    atomic_swap,
    give_way,
    invoke,
    pause,
    sleep,
    wake,
)
from streamdyn.errors import ModelError

VARIABLE: Final = "STREAMDYN_THREADS"

# The words of a call's record, then of its arguments.
KERNEL, DONE, COUNT, COLUMNS, UNIT, LEAST, MOST, FEW, JOINED = range(9)
ARGUMENTS, CLAIMED, RECORD = 9, 32, 48
SHARES: Final = RECORD - CLAIMED  # into which the pieces of a call are cut, at most
INSIDE: Final = 0xFFFF  # the bits of the door that count helpers, and its being open
SEALED: Final = 1 << 62  # pieces claimed and done of a call that is over
# The words of a crew's state, each group on its own cache line.
DOOR, SLEEPERS, RECORDS, CALLS, THREADS, SEMAPHORE = 0, 8, 16, 17, 18, 24
PIECES_PER_THREAD: Final = 4  # enough that threads which start late or run slowly even out
MOST_THREADS: Final = 16  # by default: few blocks leave little to do for more
PATIENCE: Final = 2000  # looks at the door, some 20 microseconds, before a helper sleeps


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A kernel to run on the pixels of some rows, cut into pieces for threads.

    A kernel is called with the address of its arguments, a range of pixels and a column; pixels
    x columns is the work. A piece has a multiple of `unit` pixels, at least `least` of them (so
    that it is worth its claim) and at most `most` (so that it stays in a cache). Threads share
    out the pixels, and with fewer than `few` the columns: what is larger stays in their caches.
    With `joined` other than 0, and at least so many pixels, the next call continues with each
    piece, all of its columns after all of this one's; both must have the same pixels.
    """

    kernel: Native
    count: NDArray[np.int64]  # (1,) how many pixels, read when the call runs
    arguments: tuple[int | float | NDArray[Any] | None, ...]
    columns: int = 1
    unit: int = 1
    least: int = 1
    most: int = 1 << 40
    few: int = 0
    joined: int = 0

    def record(self) -> list[int]:
        """The words that compiled code reads."""
        head = [self.kernel.address, 0, _word(self.count)]
        words = [*head, self.columns, self.unit, self.least, self.most, self.few]
        words.append(self.joined)
        words += map(_word, self.arguments)
        return words + [0] * (RECORD - len(words))


class Program:
    """Calls to run in this order, any number of times; their arrays are read at each run."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = tuple(calls)  # keeps their arrays alive
        records = [call.record() for call in self.calls]
        self._records = np.array(records, np.int64).reshape(-1, RECORD)
        self._records[-1:, JOINED] = 0  # nothing follows

    def run(self) -> None:
        """Run all calls. Other Python threads run meanwhile, and may run other programs."""
        crew().run(self, self._records.copy())


def run(*calls: Call) -> None:
    """Run calls in this order, once."""
    Program(calls).run()


class Crew:
    """Helper threads, asleep while there is nothing to do. They end with the process."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._state = _state(threads)
        self._busy = threading.Lock()
        self._last: tuple[Program, NDArray[np.int64]] | None = None
        at = _word(self._state)
        if threads > 1:
            ctypes.CDLL(None).sem_init(ctypes.c_void_p(at + 8 * SEMAPHORE), 0, 0)
        for number in range(1, threads):
            threading.Thread(target=_serve(), args=(at, number), daemon=True).start()

    def run(self, program: Program, records: NDArray[np.int64]) -> None:
        """Run the calls of fresh records, with all threads if these are free, or else alone."""
        if self._busy.acquire(blocking=False):
            try:
                if self._state[DOOR] & INSIDE == 0:
                    _lead()(_word(self._state), _word(records), len(records))
                    # A helper that comes or leaves late may still look at what it found.
                    self._last = program, records
                    return
            finally:
                self._busy.release()
        _lead()(_word(_state(threads=1)), _word(records), len(records))


def crew() -> Crew:
    """The crew of this process, with a thread for each processor that it may use, up to 16.

    The environment variable STREAMDYN_THREADS sets another number.

    Raises:
        ModelError: it is set to something else.
    """
    # A forked process has none of its parent's threads.
    return _crew(os.getpid(), os.environ.get(VARIABLE))


def set_threads(threads: int) -> None:
    """Compute with so many threads from now on, in the whole process.

    Raises:
        ModelError: it is no number that makes sense.
    """
    os.environ[VARIABLE] = str(threads)
    crew()


@cache
def _crew(_process: int, wanted: str | None) -> Crew:
    if not sys.platform.startswith("linux"):
        return Crew(1)  # semaphores without a name are a privilege of Linux
    if wanted is None:
        return Crew(min(len(os.sched_getaffinity(0)), MOST_THREADS))
    if not wanted.isdecimal() or not 1 <= int(wanted) <= 1024:
        raise ModelError(f"{VARIABLE} is a number from 1 to 1024, not {wanted!r}")
    return Crew(int(wanted))


def _word(value: float | NDArray[Any] | None) -> int:
    """An argument as compiled code reads it: a number, the bits of a double, an address or 0."""
    if isinstance(value, np.ndarray):
        return int(value.__array_interface__["data"][0])
    if isinstance(value, float):
        return int.from_bytes(struct.pack("=d", value), sys.byteorder, signed=True)
    return value or 0


def _state(threads: int) -> NDArray[np.int64]:
    state = np.zeros(32, np.int64)
    state[THREADS] = threads
    return state


@inlined
def _compute(call: int, begin: int, end: int, column: int) -> None:
    invoke(word(call, KERNEL), call + 8 * ARGUMENTS, begin, end, column)


@inlined
def _work(records: int, calls: int, threads: int, me: int) -> None:
    """Take pieces of one call after another until all are done."""
    shares, index = min(threads, SHARES), 0
    while index < calls:
        call = records + 8 * RECORD * index
        count, columns, unit = word(word(call, COUNT), 0), word(call, COLUMNS), word(call, UNIT)
        least, most = word(call, LEAST), word(call, MOST)
        few, joined = count < word(call, FEW), 0 < word(call, JOINED) <= count
        following = call + 8 * RECORD
        if joined:
            columns, few, most = 1, False, min(most, word(following, MOST))
        fair = (count * columns - 1) // (PIECES_PER_THREAD * threads) + 1
        pixels = (min(max(fair, least), most) + unit - 1) // unit * unit
        ranges = (count + pixels - 1) // pixels
        pieces, mine = ranges * columns, 0
        for turn in range(shares):
            share = (me + turn) % shares
            first, behind = pieces * share // shares, pieces * (share + 1) // shares
            while True:
                piece = first + atomic_add(call + 8 * (CLAIMED + share), 1)
                if piece >= behind:
                    break
                column = piece // ranges if few else piece % columns
                begin = (piece % ranges if few else piece // columns) * pixels
                end = min(begin + pixels, count)
                if joined:
                    for each in range(word(call, COLUMNS)):
                        _compute(call, begin, end, each)
                    for each in range(word(following, COLUMNS)):
                        _compute(following, begin, end, each)
                else:
                    _compute(call, begin, end, column)
                mine += 1
        atomic_add(call + 8 * DONE, mine)
        looks = 0
        while atomic_read(call + 8 * DONE) < pieces:
            pause()
            looks += 1
            if looks > PATIENCE:
                give_way()
        index += 2 if joined else 1


# The door is a word: the number of the program in the upper bits, then twice the number of
# helpers inside, then one bit that says whether it is open.


@cache
def _lead() -> Native:
    def lead(state: int, records: int, calls: int) -> None:
        put_word(state, RECORDS, records)
        put_word(state, CALLS, calls)
        program = (atomic_read(state + 8 * DOOR) >> 16) + 1
        atomic_swap(state + 8 * DOOR, program << 16 | 1)
        for _ in range(atomic_swap(state + 8 * SLEEPERS, 0)):
            wake(state + 8 * SEMAPHORE)
        _work(records, calls, word(state, THREADS), 0)
        atomic_add(state + 8 * DOOR, -1)
        for index in range(calls):  # whoever is late finds nothing left, whatever `count` becomes
            call = records + 8 * RECORD * index
            for share in range(SHARES):
                atomic_swap(call + 8 * (CLAIMED + share), SEALED)
            atomic_swap(call + 8 * DONE, SEALED)

    return Native(lead)


@cache
def _serve() -> Native:
    def serve(state: int, me: int) -> None:
        served = looks = 0
        while True:
            door = atomic_read(state + 8 * DOOR)
            if door & 1 and door >> 16 != served:
                if atomic_replace(state + 8 * DOOR, door, door + 2):
                    _work(word(state, RECORDS), word(state, CALLS), word(state, THREADS), me)
                    served, looks = door >> 16, 0
                    atomic_add(state + 8 * DOOR, -2)
                continue
            pause()
            looks += 1
            if looks > PATIENCE:
                looks = 0
                atomic_add(state + 8 * SLEEPERS, 1)
                if atomic_read(state + 8 * DOOR) == door:  # or else it opened in between
                    sleep(state + 8 * SEMAPHORE)

    return Native(serve)
