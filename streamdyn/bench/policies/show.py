"""What each policy came to, as a table for each clip and model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from streamdyn.bench.harness import Measurement
from streamdyn.bench.policies.figures import POINT
from streamdyn.bench.policies.scores import COSTS
from streamdyn.bench.report import machine_line

# What `about` holds of each outcome, and its heading.
_COLUMNS = {
    "threshold": "thr.",
    "share": "share",
    "time": "time",
    "agreement": "agreement",
    "miou": "mIoU",
    "policy_ms": "ms",
    "faults": "faults",
}
_FILE_WIDTH = 120  # columns, where no terminal says how wide it is


def show(measurements: Sequence[Measurement]) -> None:
    """Print the outcomes of each clip and model, then what they come to."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_FILE_WIDTH)
    for trial, group in groupby(measurements, key=lambda m: m.about["trial"]):
        found = list(group)
        console.print(f"\n[bold]{trial}[/bold]: share of the work and of the time of dense")
        console.print(_outcomes([m for m in found if m.metric == POINT]))
        console.print(_verdicts([m for m in found if m.metric != POINT]))
    console.print(machine_line(), style="dim")


def _outcomes(points: Sequence[Measurement]) -> Table:
    """The last columns: how far above the trivial policies the agreement lies, at the same cost."""
    columns = [name for name in _COLUMNS if any(point.about.get(name) for point in points)]
    table = _table("policy", *(_COLUMNS[name] for name in columns), "above", "by time")
    for point in points:
        cells = [point.about.get(column) for column in columns]
        above = [float(point.about[f"above_trivial_by_{cost}"]) for cost in COSTS]
        table.add_row(
            str(point.about["spec"]),
            *("" if cell is None else f"{cell:.3g}" for cell in cells),
            *(f"{margin:+.3f}" for margin in above),
            style=None if max(above) >= 0 else "dim",
        )
    return table


def _verdicts(figures: Sequence[Measurement]) -> Table:
    table = _table("at", "figure", "asked", "reached")
    for m in figures:
        asked, met = (
            (str(m.asked), "yes" if m.asked.met(m.value) else "NO") if m.asked else ("", "")
        )
        table.add_row(
            m.case.removeprefix(f"{m.about['trial']}: "), f"{m.metric} {m.value:.3g}", asked, met
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold", min_width=26)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
