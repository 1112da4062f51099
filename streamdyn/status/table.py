"""The figures of streams as a table that fits the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from streamdyn.status.columns import GAP, columns_within
from streamdyn.status.explain import explain
from streamdyn.status.figures import ActorStatus, RunStatus

_STYLES = {"failed": "red", "reconnecting": "yellow", "connecting": "yellow", "running": "green"}


class StatusTable:
    """A row per stream, as many columns as fit, and a line on the processes; rich prints it."""

    def __init__(self, status: RunStatus) -> None:
        self._status = status

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        streams = self._status.streams
        columns = columns_within(streams, options.max_width)
        table = Table(
            box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), show_edge=False, pad_edge=False
        )
        for column in columns:
            table.add_column(
                column.title, justify="left" if column.is_text else "right", no_wrap=True
            )
        for stream in streams:
            *cells, state = [Text(column.cell(stream)) for column in columns]
            state.stylize(_STYLES.get(stream.state, "dim"))
            table.add_row(*cells, state)
        yield table
        yield Text(self._foot(), style="dim")

    def _foot(self) -> str:
        status = self._status
        account = status.account
        told = (
            f"{len(status.streams)} streams, {account.captured} frames: {account.computed} "
            f"computed, {account.reused} reused, {account.dropped} dropped, {account.failed} failed"
        )
        return "\n".join([told, *map(_actor, status.actors)])


class Explanations:
    """A line per stream: how fast it is, and what limits it; rich prints it."""

    def __init__(self, status: RunStatus) -> None:
        self._status = status

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for stream in self._status.streams:
            yield Text(explain(stream))


def _actor(actor: ActorStatus) -> str:
    draining = ", draining" if actor.draining else ""
    return (
        f"{actor.role} {actor.name} on {actor.node}: {len(actor.streams)} streams, "
        f"{actor.load:.0%} busy, {actor.memory_bytes / 1e6:.0f} MB{draining}"
    )
