"""The columns of the table of streams: what each shows, and which must stay when it is narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamdyn.status.figures import StreamStatus

GAP = 2  # characters between columns; after the last there is one
LONGEST_NAME = 20
LONGEST_STATE = 24


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a stream."""

    title: str
    rank: int  # the columns of the lowest ranks are shown as long as there is room
    cell: Callable[[StreamStatus], str]
    is_text: bool = False  # and so begins at the left


def columns_within(streams: Sequence[StreamStatus], width: int) -> list[Column]:
    """The columns, in their order, that fit into `width` characters: at least the first two."""
    left = width
    chosen: list[Column] = []
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        left -= GAP + max(len(text) for text in (column.title, *map(column.cell, streams)))
        if left < -1 and len(chosen) >= 2:
            break
        chosen.append(column)
    return [column for column in COLUMNS if column in chosen]


def shortened(text: str, longest: int) -> str:
    """Leave out the middle of what is too long.

    >>> shortened("entrance-north-camera", 12)
    'entran…amera'
    """
    if len(text) <= longest:
        return text
    head = longest // 2
    return f"{text[:head]}…{text[len(text) - (longest - head - 1) :]}"


def _state(stream: StreamStatus) -> str:
    cause = stream.event.cause if stream.event and stream.event.state == stream.state else None
    return shortened(f"{stream.state}: {cause}" if cause else stream.state, LONGEST_STATE)


def _age(quantile: str) -> Callable[[StreamStatus], str]:
    def cell(stream: StreamStatus) -> str:
        seconds = stream.age_seconds.get(quantile)
        return "-" if seconds is None else f"{seconds:.2f} s"

    return cell


def _rate(name: str) -> Callable[[StreamStatus], str]:
    return lambda stream: f"{getattr(stream.rates, name):.1f}"


def _done(stream: StreamStatus) -> str:
    return f"{stream.rates.computed + stream.rates.reused:.1f}"


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _recovery(stream: StreamStatus) -> str:
    frames = stream.frames_to_recover
    return "-" if frames is None else str(frames)


def _sent(stream: StreamStatus) -> str:
    sent = stream.bytes_per_frame
    return "-" if sent is None else f"{sent / 1e3:.3g}"


COLUMNS = (
    Column("stream", 0, lambda stream: shortened(stream.name, LONGEST_NAME), is_text=True),
    Column("fps in", 2, _rate("captured")),
    Column("out", 3, _done),
    Column("computed", 9, _rate("computed")),
    Column("reused", 10, _rate("reused")),
    Column("dropped", 7, _rate("dropped")),
    Column("density", 4, lambda stream: _fraction(stream.density)),
    Column("age p50", 8, _age("p50")),
    Column("age p99", 5, _age("p99")),
    Column("limit", 6, lambda stream: stream.limit or "-", is_text=True),
    Column("queue", 11, lambda stream: str(stream.queue)),
    Column("kB/frame", 12, _sent),
    Column("reconnects", 13, lambda stream: str(stream.reconnects)),
    Column("to recover", 17, _recovery),
    Column("worker", 14, lambda stream: stream.worker or "-", is_text=True),
    Column("frames", 15, lambda stream: str(stream.account.captured)),
    Column("crashes", 16, lambda stream: str(stream.crashes)),
    Column("state", 1, _state, is_text=True),
)
