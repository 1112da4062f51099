"""What the threads of a crew do: one leads through the calls of a program, the others help.

The pixels of a call are cut into pieces; each thread takes those of its own share first, which
are the same pixels in call after call and so still in its cache, then what is left of the
others'. A helper that the system has not woken yet is never waited for, so a busy machine costs a
call what it takes and no more. (Numba's own threading layers hand each thread its part in advance
and wait for the last.)
"""

from __future__ import annotations

from functools import cache
from typing import Final

from streamdyn.engine.cpu.call import (
    ARGUMENTS,
    CLAIMED,
    COLUMNS,
    COUNT,
    EARLY,
    FEW,
    JOINED,
    KERNEL,
    LEAST,
    MOST,
    RECORD,
    SHARES,
    UNIT,
)
from streamdyn.engine.cpu.emit import Native, inlined
from streamdyn.engine.cpu.memory import put_word, word
from streamdyn.engine.cpu.threads import (
    atomic_add,
    atomic_read,
    atomic_replace,
    atomic_swap,
    atomic_write,
    give_way,
    invoke,
    pause,
    sleep,
    wake,
)

# The words of a crew's state, each group on its own cache line.
DOOR, SLEEPERS, RECORDS, CALLS, THREADS, SEMAPHORE, DONE = 0, 8, 16, 17, 18, 24, 32
STATE: Final = 40
# The door is a word: the number of the program in the upper bits, then twice the number of
# helpers inside, then one bit that says whether it is open.
INSIDE: Final = 0xFFFF
SEALED: Final = 1 << 62  # pieces claimed, of a call, and done, once a program is over
PIECES_PER_THREAD: Final = 4  # enough that threads which start late or run slowly even out
PATIENCE: Final = 2000  # looks at what is done, 20 to 50 microseconds, before a thread gives way
VIGIL: Final = 16000  # looks at the door before a helper sleeps: a call that follows finds it awake


@cache
def lead() -> Native:
    """Run the calls of records, which no helper may know as yet: (state, records, how many)."""

    def lead(state: int, records: int, calls: int) -> None:
        _mark(state, records, calls, 0)
        put_word(state, RECORDS, records)
        put_word(state, CALLS, calls)
        program = (atomic_read(state + 8 * DOOR) >> 16) + 1
        atomic_swap(state + 8 * DOOR, program << 16 | 1)
        for _ in range(atomic_swap(state + 8 * SLEEPERS, 0)):
            wake(state + 8 * SEMAPHORE)
        _work(state, records, calls, 0)
        # Whoever is late finds nothing left, whatever `count` becomes.
        _mark(state, records, calls, SEALED)
        atomic_add(state + 8 * DOOR, -1)

    return Native(lead)


@cache
def serve() -> Native:
    """Help with one program after another, for ever: (state, number of the helper)."""

    def serve(state: int, me: int) -> None:
        served = looks = 0
        while True:
            door = atomic_read(state + 8 * DOOR)
            if door & 1 and door >> 16 != served:
                if atomic_replace(state + 8 * DOOR, door, door + 2):
                    _work(state, word(state, RECORDS), word(state, CALLS), me)
                    served, looks = door >> 16, 0
                    atomic_add(state + 8 * DOOR, -2)
                continue
            pause()
            looks += 1
            if looks > VIGIL:
                looks = 0
                atomic_add(state + 8 * SLEEPERS, 1)
                if atomic_read(state + 8 * DOOR) == door:  # or else it opened in between
                    sleep(state + 8 * SEMAPHORE)

    return Native(serve)


@inlined
def _mark(state: int, records: int, calls: int, pieces: int) -> None:
    """Set how many pieces of each share of each call are claimed, and how many are done."""
    for index in range(calls):
        call = records + 8 * RECORD * index
        for share in range(min(word(state, THREADS), SHARES)):
            atomic_write(call + 8 * (CLAIMED + share), pieces)
    atomic_write(state + 8 * DONE, pieces)


@inlined
def _compute(call: int, begin: int, end: int, column: int) -> None:
    invoke(word(call, KERNEL), call + 8 * ARGUMENTS, begin, end, column)


@inlined
def _wait(state: int, pieces: int) -> None:
    """Wait until so many pieces of the program are done."""
    looks = 0
    while atomic_read(state + 8 * DONE) < pieces:
        pause()
        looks += 1
        if looks > PATIENCE:
            give_way()


@inlined
def _work(state: int, records: int, calls: int, me: int) -> None:
    """Take pieces of one call after another until all are done."""
    threads = word(state, THREADS)
    shares, before, index = min(threads, SHARES), 0, 0
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
        if not word(call, EARLY):
            _wait(state, before)
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
        if mine:
            atomic_add(state + 8 * DONE, mine)
        before += pieces
        index += 2 if joined else 1
    _wait(state, before)
