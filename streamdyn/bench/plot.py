"""Speed-up over density, one panel per network: what was measured against what is possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from streamdyn.bench.panels import GREY, draw_panels

Curve = Sequence[tuple[float, float]]  # density in (0, 1], speed-up

MEASURED, WANTED = "#d98a00", "#3a62d8"


@dataclass(frozen=True, slots=True)
class Panel:
    """The curves of one network."""

    title: str
    base: str  # the peer that a speed-up of 1 stands for
    ideal: Curve  # 1 / share of the multiply-accumulates
    measured: Mapping[str, Curve]
    asked: Curve = ()


def draw_speedups(panels: Sequence[Panel], footer: str, path: Path) -> None:
    """Write a PNG of one panel at least.

    Args:
        footer: what holds for all panels: the machine.
    """
    draw_panels(panels, _draw, footer, path)


def _draw(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title, fontsize=11)
    axes.plot(*_columns(panel.ideal), "--", color=GREY, label="ideal: 1 / share of the work")
    for number, (name, curve) in enumerate(panel.measured.items()):
        shade = MEASURED if not number else f"C{number}"
        axes.plot(*_columns(curve), "o-", color=shade, label=name)
        for density, speedup in curve:
            axes.annotate(
                f"{speedup:.3g}x", (density, speedup), xytext=(4, -11),
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
    if panel.asked:
        axes.plot(*_columns(panel.asked), "_", color=WANTED, ms=16, mew=2, label="asked")
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_xaxis()
    axes.set_xticks([density for density, _ in panel.ideal])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda speedup, _: f"{speedup:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("density of the mask")
    axes.set_ylabel(f"speed-up over {panel.base}")
    axes.legend(fontsize=8, frameon=False)


def _columns(curve: Curve) -> tuple[list[float], list[float]]:
    return [density for density, _ in curve], [speedup for _, speedup in curve]
