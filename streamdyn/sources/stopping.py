"""Tells those who wait that they need wait no longer."""

from __future__ import annotations

import threading


class Stop:
    """Set once, from any thread. A copy that is sent to another process is not set."""

    def __init__(self) -> None:
        self.changed = threading.Condition()  # notified when it is set; wait on it for other things
        self.is_set = False

    def set(self) -> None:
        with self.changed:
            self.is_set = True
            self.changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is set; say whether it is."""
        with self.changed:
            return self.changed.wait_for(lambda: self.is_set, seconds)

    def __reduce__(self) -> tuple[type[Stop], tuple[()]]:
        return Stop, ()
