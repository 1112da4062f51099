"""How far each figure is from what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from streamdyn.bench.harness import Measurement
from streamdyn.bench.panels import GREY, draw_panels
from streamdyn.bench.plot import MEASURED, WANTED

_MOST = 100.0  # times better or worse, that are shown
_LETTERS = 46  # of a line of text


def draw_margins(measurements: Sequence[Measurement], footer: str, path: Path) -> None:
    """Write a PNG with a panel for each case of which something is asked.

    Args:
        footer: what holds for all: the machine.
    """
    asked = [m for m in measurements if m.asked]
    panels = [list(group) for _, group in groupby(asked, key=lambda m: m.case)]
    draw_panels(panels, _draw, footer, path)


def margin(measurement: Measurement) -> float:
    """How many times better a figure is than asked; below 1 it is worse."""
    asked, value = measurement.asked, measurement.value
    assert asked is not None, "only what is asked for has a margin"
    over, under = (asked.bound, value) if asked.at_most else (value, asked.bound)
    if under <= 0:
        return _MOST
    return min(max(over / under, 1 / _MOST), _MOST)


def _draw(axes: Axes, figures: Sequence[Measurement]) -> None:
    axes.set_title(fill(figures[0].case, _LETTERS), fontsize=9)
    places = range(len(figures))
    margins = [margin(figure) for figure in figures]
    for place, figure, better in zip(places, figures, margins, strict=True):
        axes.plot([1, better], [place, place], color=WANTED if better >= 1 else MEASURED, lw=6)
        text = f"{figure.metric}: {figure.value:.3g} {figure.unit}, asked {figure.asked}"
        axes.annotate(
            fill(text, _LETTERS), (1, place), xytext=(0, 7), textcoords="offset points",
            fontsize=7, ha="center",
        )  # fmt: skip
    axes.axvline(1.0, color=GREY, linewidth=0.8)
    axes.set_xscale("log")
    widest = 2 * max(max(better, 1 / better) for better in margins)
    axes.set_xlim(1 / widest, widest)
    axes.set_ylim(-0.5, len(figures) - 0.2)
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda better, _: f"{better:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("how many times better than asked", fontsize=8)
