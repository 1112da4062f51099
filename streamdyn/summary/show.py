"""The figures of streams as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamdyn.summary.stream import StreamSummary, total

if TYPE_CHECKING:
    from rich.table import Table


def table(summaries: Sequence[StreamSummary]) -> Table:
    """The figures of streams, at least one, to print with rich: a row each, and their total."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from streamdyn.summary.name import Name

    notes = "\n".join(note for summary in summaries for note in summary.notes())
    figures = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        caption=Text(notes) if notes else None,
        caption_justify="left",
        caption_style="",
    )
    figures.add_column("stream")
    titles = ("decoded", "computed", "reused", "fps", "density", "latency in ms\np50/p95/p99")
    for title in (*titles, "% of time in\ndecode/policy/\nmodel/sinks"):
        figures.add_column(title, justify="right", no_wrap=True)
    for summary in summaries:
        figures.add_row(Name(summary.stream), *_cells(summary))
    if len(summaries) > 1:
        figures.add_section()
        figures.add_row("all streams", *_cells(total(summaries)))
    return figures


def _cells(summary: StreamSummary) -> list[str]:
    quantiles = (summary.latency.quantile(fraction) for fraction in (0.5, 0.95, 0.99))
    spent = summary.time_share
    model = None if spent["model"] is None else spent["model"] + (spent["audits"] or 0.0)
    shares = spent["decode"], spent["policy"], model, spent["sinks"]
    return [
        str(summary.decoded),
        str(summary.computed),
        str(summary.reused),
        _said(summary.fps, ".1f"),
        _said(summary.mean_density, ".1%"),
        "/".join(_said(value, ".2f" if (value or 0) < 1e-3 else ".1f", 1e3) for value in quantiles),
        "/".join(_said(share, ".0f", 100) for share in shares),
    ]


def _said(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else format(value * scale, form)
