"""Agreement over cost, one panel for each clip, model and kind of cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, PercentFormatter

from streamdyn.bench.panels import GREY, draw_panels
from streamdyn.bench.policies.front import Front
from streamdyn.bench.policies.scores import COSTS, Cost, Scores

_BEST = "#1b1f24"
_LEAST = 0.02  # of the cost that is shown
_WORST = 0.7  # of the agreement that is shown
_LABEL = {"share": "share of the multiply-accumulates", "time": "time, as a share of dense"}
_LETTERS = 60  # of a line of a title
_MARKS = "osD^v<>pXP*h"


def draw_fronts(scores: Sequence[Scores], footer: str, path: Path) -> None:
    """Write a PNG.

    Args:
        footer: what holds for all: the machine.
    """
    panels = [(each, cost) for each in scores for cost in COSTS]
    draw_panels(panels, _draw, footer, path, shared_legend=True)


def _draw(axes: Axes, panel: tuple[Scores, Cost]) -> None:
    scores, cost = panel
    axes.set_title(fill(scores.trial, _LETTERS), fontsize=9)
    axes.fill_between(
        *_columns(scores.trivial(cost)), color=GREY, alpha=0.25, label="trivial policies"
    )
    shades = colormaps["tab20"]
    for number, family in enumerate(scores.families):
        shade, mark = shades(number % shades.N), _MARKS[number % len(_MARKS)]
        axes.plot(*zip(*scores.points(family, cost), strict=True), mark, ms=2.5, color=shade)
        axes.plot(
            *_columns(scores.curve(family, cost)), marker=mark, ms=4, lw=0.9, color=shade,
            label=family,
        )  # fmt: skip
    if scores.families:
        axes.plot(*_columns(scores.best(cost)), color=_BEST, lw=2.2, alpha=0.5, label="best")
    axes.set_xscale("log")
    axes.set_xlim(_LEAST, 1.5)
    axes.set_ylim(_WORST, 1.005)
    axes.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(_LABEL[cost], fontsize=8)
    axes.set_ylabel("agreement with dense", fontsize=8)


def _columns(front: Front) -> tuple[list[float], list[float]]:
    return [cost for cost, _ in front.points], [quality for _, quality in front.points]
