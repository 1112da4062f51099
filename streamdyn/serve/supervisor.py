"""What this package needs of whoever runs the streams."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from streamdyn.specs import StreamSpec
from streamdyn.status import RunStatus


class Supervisor(Protocol):
    """Runs streams. Its methods may be called from any thread."""

    def add(self, stream: StreamSpec) -> None:
        """Start a stream.

        Raises:
            ValueError: there is one of that name.
            StreamdynError: it cannot be started.
        """

    def remove(self, name: str) -> None:
        """Stop a stream; what it gave until then is written.

        Raises:
            KeyError: there is none of that name.
        """

    def change(self, stream: StreamSpec) -> None:
        """Let a stream go on as another; the indices of a live one go on.

        Raises:
            KeyError: there is none of that name.
            StreamdynError: it cannot be started.
        """

    def status(self) -> RunStatus:
        """What runs, and how well."""

    def add_worker(self) -> None:
        """Start one more worker."""

    def drain_worker(self, name: str) -> None:
        """Move the streams of a worker to others, and end it.

        Raises:
            KeyError: there is none of that name.
        """


class Service(Supervisor, Protocol):
    """A supervisor from its start to its end. It tells its status afterwards as well."""

    def __enter__(self) -> Self:
        """Start what streams need."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all streams, and write what they gave."""

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds; return whether all streams have ended, at once if so."""
