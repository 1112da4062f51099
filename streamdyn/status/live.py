"""The figures while they change: a table that stays in place, or lines for a log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Event as Signal
from threading import Thread
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from streamdyn.status.figures import Event, RunStatus
from streamdyn.status.table import Explanations, StatusTable


class Lines:
    """Prints what happens, a line each; above the table, if there is one. From any thread."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._told: dict[str, tuple[str, ...]] = {}  # of each stream, what was told last

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def event(self, stream: str, event: Event) -> None:
        """Tell what happened to a stream; of tries that fail alike, only the first."""
        last = self._told.get(stream, ("",))
        told = tuple(filter(None, (event.state, event.cause, event.message)))
        if told == last or (event.state == "connecting" and last[0] == "reconnecting"):
            return
        self._told[stream] = told
        self.say(f"{datetime.fromtimestamp(event.at):%H:%M:%S} {stream}: {', '.join(told)}")


class LiveStatus:
    """Shows the status from entering to leaving.

    Args:
        read: gives the status; called in a thread of its own.
        table: whether to draw a table once a second; if not, or where the console is no terminal,
            each stream has a line every `seconds`.
    """

    def __init__(
        self,
        console: Console,
        read: Callable[[], RunStatus],
        *,
        table: bool = True,
        seconds: float = 10.0,
    ) -> None:
        self._console = console
        self._read = read
        self._seconds = seconds
        self._over = Signal()
        self._shown: Live | Thread = (
            _Table(read, console)
            if table and console.is_terminal
            else Thread(target=self._print_lines, name="status lines", daemon=True)
        )

    def __enter__(self) -> Self:
        self._shown.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        if isinstance(self._shown, Live):
            self._shown.stop()
        else:
            self._shown.join()

    def _print_lines(self) -> None:
        while not self._over.wait(self._seconds):
            self._console.print(Explanations(self._read()), soft_wrap=True)


class _Table(Live):
    """A table that is drawn anew each second, and gone at the end."""

    def __init__(self, read: Callable[[], RunStatus], console: Console) -> None:
        self._read = read
        super().__init__(console=console, refresh_per_second=1, transient=True)

    def get_renderable(self) -> RenderableType:
        return StatusTable(self._read())
