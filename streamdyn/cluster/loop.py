"""The thread that sees to all streams and processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from threading import Event as Flag
from threading import Thread
from time import monotonic, sleep
from typing import Any, TypeVar

import ray

from streamdyn.cluster.dispatcher import Dispatcher
from streamdyn.cluster.mailbox import Mailbox
from streamdyn.errors import StreamdynError

TURN_SECONDS = 0.05  # at most between two looks at what is due

T = TypeVar("T")


class Loop:
    """Runs a dispatcher: nothing else touches its streams and processes.

    Args:
        mailbox: of the dispatcher.
    """

    def __init__(self, dispatcher: Dispatcher, mailbox: Mailbox) -> None:
        self._dispatcher = dispatcher
        self._mailbox = mailbox
        self._stopped = Flag()
        self._fault: BaseException | None = None
        self._thread = Thread(target=self._run, name="streamdyn-supervisor", daemon=True)
        self._thread.start()

    def ask(self, call: Callable[[], T]) -> T:
        """Return what a call returns, made in the loop's thread; or after its end, in this one."""
        return self._mailbox.ask(call)

    def wait_until(self, condition: Callable[[], bool], seconds: float = inf) -> bool:
        """Wait so long for what the loop's thread says, or until it broke; return what it says."""
        deadline = monotonic() + seconds
        while not (holds := self.ask(condition)) and not self._fault and monotonic() < deadline:
            sleep(TURN_SECONDS)
        return holds

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    @property
    def stopped(self) -> bool:
        """Whether it was told to end."""
        return self._stopped.is_set()

    @property
    def broken(self) -> str | None:
        """Why it cannot go on, if it broke."""
        return None if self._fault is None else f"the run broke: {self._fault!r}"

    def raise_fault(self) -> None:
        """Raise StreamdynError if it broke."""
        if self.broken:
            raise StreamdynError(self.broken) from self._fault

    def _run(self) -> None:
        dispatcher, mailbox = self._dispatcher, self._mailbox
        try:
            while not self._stopped.is_set():
                mailbox.work_off()
                for receive in _answered(dispatcher.pending()):
                    receive()
                dispatcher.turn()  # only now: whoever has answered is not silent
        except BaseException as error:  # whoever waits must hear of it
            self._fault = error
        finally:
            mailbox.close()


def _answered(pending: Mapping[Any, Callable[[], None]]) -> list[Callable[[], None]]:
    """What to do about the answers that are there, as soon as there is one, or a turn is over."""
    if not pending:
        sleep(TURN_SECONDS)
        return []
    ready, _ = ray.wait(list(pending), timeout=TURN_SECONDS)
    if ready:
        ready, _ = ray.wait(list(pending), num_returns=len(pending), timeout=0)
    return [pending[answer] for answer in ready]
