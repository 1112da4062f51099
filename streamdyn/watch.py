"""Calls into policies, which may never return."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar
from weakref import finalize

from streamdyn.policy import Policy

T = TypeVar("T")
_Call = Callable[[], Any]
_Answer = tuple[Any, BaseException | None]

FIRST_CALL = 10  # times the time that a first call may take: it may load and compile what it needs


class HungError(Exception):
    """A call did not return in time."""


class PolicyCalls:
    """Calls the methods of a policy within a time, unless all of it ships with streamdyn.

    To hand a call to a watched thread and back costs tens of microseconds.

    Args:
        seconds: that a call may take.
    """

    def __init__(self, policy: Policy, seconds: float) -> None:
        self._policy = policy
        self._seconds = min(seconds, 1e6)  # a queue cannot wait for ever and a day
        self._known: set[str] = set()  # methods that were called before
        trusted = math.isinf(seconds) or _ships(policy)
        self._watched = None if trusted else Watched(f"policy {type(policy).__name__}")

    def __reduce__(self) -> tuple[type[PolicyCalls], tuple[Policy, float]]:
        return PolicyCalls, (self._policy, self._seconds)  # a thread cannot be pickled

    def __call__(self, method: str, call: Callable[[], T]) -> T:
        """Return what `call` does, or raise what it raises; `method` says which it is.

        Raises:
            HungError: it took too long.
        """
        if self._watched is None:
            return call()
        patience = 1 if method in self._known else FIRST_CALL
        self._known.add(method)
        return self._watched(patience * self._seconds, call)


class Watched:
    """Makes calls in a thread of its own, one after the other, each within a time.

    The thread ends with its owner, and one that hangs does not keep the interpreter from ending.
    After a call that hung, there can be no other.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        queues = self._calls, self._answers
        Thread(target=_serve, args=queues, name=name, daemon=True).start()
        finalize(self, self._calls.put, None)

    def __call__(self, seconds: float, call: Callable[[], T]) -> T:
        """Return what `call` does, or raise what it raises.

        Raises:
            HungError: it took longer than `seconds`.
        """
        self._calls.put(call)
        try:
            value, error = self._answers.get(timeout=seconds)
        except Empty:
            raise HungError(f"took longer than {seconds:g} s") from None
        if error is not None:
            raise error
        result: T = value
        return result


def _serve(calls: SimpleQueue[_Call | None], answers: SimpleQueue[_Answer]) -> None:
    while (call := calls.get()) is not None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # the caller raises it again
            answers.put((None, error))
        del call  # what it holds may be large


def _ships(policy: Policy) -> bool:
    """Whether a policy, and every one that it holds, is part of streamdyn."""
    ours = type(policy).__module__.startswith("streamdyn.")
    return ours and all(map(_ships, _held(policy)))


def _held(policy: Policy) -> Iterator[Policy]:
    for value in vars(policy).values():
        for part in value if isinstance(value, list | tuple) else (value,):
            if isinstance(part, Policy):
                yield part
