"""Pictures of several panels, one beside the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import fill
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

T = TypeVar("T")

PANEL_INCHES = (4.4, 4.0)
COLUMNS = 4
LETTERS = 80  # of the footer below each panel
GREY = "#9aa4ad"


def draw_panels(
    panels: Sequence[T],
    draw: Callable[[Axes, T], None],
    footer: str,
    path: Path,
    *,
    shared_legend: bool = False,
) -> None:
    """Write a PNG of one panel at least.

    Args:
        draw: draws one.
        footer: what holds for all panels: the machine.
        shared_legend: whether the legend of the first stands below all of them.
    """
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    wide, high = PANEL_INCHES
    figure = Figure(figsize=(wide * columns, high * rows + 0.3), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes, panel in zip(grid, panels, strict=False):
        draw(axes, panel)
    for axes in list(grid)[len(panels) :]:
        axes.set_axis_off()
    text = fill(footer, LETTERS * columns)
    if shared_legend:
        # Titled by the footer: two things that stand outside the panels would overlap.
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, title=text, title_fontsize=7, fontsize=7, ncols=columns,
            loc="outside lower center", frameon=False,
        )  # fmt: skip
    else:
        figure.supxlabel(text, fontsize=7, color=GREY)
    figure.savefig(path, format="png")
