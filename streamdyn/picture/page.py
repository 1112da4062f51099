"""Lays the picture of a stream out: frames on top, density over time below. Lengths in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import PercentFormatter

from streamdyn.overlay.palette import COMPUTED, INK, NIGHT, REUSED, Colour, class_colour
from streamdyn.picture.timeline import Timeline
from streamdyn.types import Prediction, Segmentation

if TYPE_CHECKING:
    from streamdyn.picture.sheet import Shot

FONT = "DejaVu Sans"  # comes with matplotlib
SHOWN = 6  # frames
WIDTH, MARGIN, GAP = 13.0, 0.3, 0.14
TITLE, CAPTION, LEGEND, PLOT, AXIS = 0.62, 0.36, 0.5, 1.7, 0.68  # heights


def make_page(shots: Sequence[Shot], timeline: Timeline) -> Figure:
    """The page of a stream, of which there is one shot at least."""
    shown = choose(shots)
    high, wide = shown[0].frame.size
    columns = min(len(shown), 3 if wide >= high else SHOWN)
    rows = -(-len(shown) // columns)
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
    height = min(width * high / wide, 5.0)
    plot_top = TITLE + rows * (height + CAPTION) + LEGEND
    page = _Page(plot_top + PLOT + AXIS)
    page.write(MARGIN, 0.4, shown[0].prediction.stream or "stream", size=16, weight="bold")
    page.write(WIDTH - MARGIN, 0.4, _headline(timeline), size=12, ha="right")
    for n, shot in enumerate(shown):
        row, column = divmod(n, columns)
        left, top = MARGIN + column * (width + GAP), TITLE + row * (height + CAPTION)
        axes = page.axes(left, top, width, height)
        axes.imshow(shot.draw(), interpolation="antialiased")
        axes.set_axis_off()
        axes.set_anchor("NW")
        time, says, colour = _caption(shot.prediction, short=width < 3)
        end = page.write(left, top + height + 0.22, time, size=11)
        page.write(end + 0.12, top + height + 0.22, says, colour, size=11)
    _legend(page, shown, plot_top - LEGEND + 0.2)
    _plot(page.axes(MARGIN + 0.75, plot_top, WIDTH - 2 * MARGIN - 0.75, PLOT), timeline)
    return page.figure


def choose(shots: Sequence[Shot]) -> list[Shot]:
    """At most SHOWN of the shots, evenly spread."""
    places = np.linspace(0, len(shots) - 1, min(len(shots), SHOWN))
    return [shots[place] for place in np.rint(places).astype(int).tolist()]


class _Page:
    """A figure that is measured in inches from its upper left corner."""

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH, height), dpi=120, facecolor=_shade(NIGHT))
        FigureCanvasAgg(self.figure)
        self._letters = get_font(findfont(FONT)).get_charmap()

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height)
        )

    def write(
        self, left: float, base: float, text: str, colour: Colour = INK, **font: Any
    ) -> float:
        """Write text on a base line. Returns where it ends."""
        text = "".join(letter if ord(letter) in self._letters else "□" for letter in text)
        written = self.figure.text(
            left / WIDTH,
            1 - base / self.height,
            text,
            color=_shade(colour),
            parse_math=False,
            family=FONT,
            **font,
        )
        return float(written.get_window_extent().x1) / self.figure.dpi


def _headline(timeline: Timeline) -> str:
    total = timeline.total()
    unit, name = _unit(total.end_seconds - total.start_seconds)
    facts = (
        f"{total.frames} frames in {(total.end_seconds - total.start_seconds) / unit:.1f} {name}",
        f"{1 - total.computed / total.frames:.0%} of the frames reused whole",
        f"{total.density / total.frames:.1%} of the blocks computed",
    )
    return "    ".join(facts)


def _caption(prediction: Prediction, *, short: bool) -> tuple[str, str, Colour]:
    """The time of a frame, what became of it, and the colour of that."""
    time = f"{prediction.pts_seconds:.2f} s"
    if prediction.status == "reused":
        return time, "reused" if short else f"reused, {prediction.age_seconds:.2f} s old", REUSED
    return time, f"computed, {prediction.density:.0%}" + " of the blocks" * (not short), COMPUTED


def _legend(page: _Page, shown: Sequence[Shot], base: float) -> None:
    """What the colours mean: those of the plot, and of the classes that the frames show."""
    seen: dict[str, Colour] = {}
    for shot in shown:
        if isinstance(result := shot.prediction.result, Segmentation):
            for label in np.flatnonzero(np.bincount(result.labels.ravel())).tolist():
                if label < len(result.classes):
                    seen[result.classes[label]] = class_colour(label, result.classes[label])
    left = MARGIN
    entries = {"computed": COMPUTED, "reused": REUSED} | seen
    for name, colour in entries.items():
        if left > WIDTH - 2:  # no room for more
            break
        end = page.write(left, base, "■", colour, size=13)
        left = page.write(end + 0.07, base, name, size=11) + (0.6 if name == "reused" else 0.25)


def _plot(axes: Axes, timeline: Timeline) -> None:
    """Density over time, and below it which frames were computed."""
    spans = timeline.spans
    whole = timeline.total()
    step = (whole.end_seconds - whole.start_seconds) / max(whole.frames - 1, 1) or 1.0
    unit, name = _unit(whole.end_seconds - whole.start_seconds)
    edges = np.array([*(span.start_seconds for span in spans), whole.end_seconds + step]) / unit
    edges = np.maximum.accumulate(edges)  # whatever a camera's clock does
    mean = np.array([span.density / span.frames for span in spans])
    peak = np.array([span.peak for span in spans])
    computed = np.array([span.computed / span.frames for span in spans])
    # A key frame now and then may leave the plot, so that the rest can be seen.
    top = float(np.clip(1.25 * np.quantile(peak, 0.98), 0.02, 1.04))
    axes.stairs(peak, edges, color=_shade(COMPUTED), alpha=0.35, linewidth=0.8)
    axes.stairs(mean, edges, color=_shade(COMPUTED), alpha=0.55, fill=True)
    axes.stairs(mean, edges, color=_shade(COMPUTED), linewidth=1.2)
    colours = LinearSegmentedColormap.from_list("status", [_shade(REUSED), _shade(COMPUTED)])
    strip = np.array([-0.14, -0.05]) * top
    axes.pcolormesh(edges, strip, computed[None], cmap=colours, vmin=0, vmax=1)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(-0.16 * top, top), xlabel=f"time in {name}")
    axes.set_ylabel("blocks computed", y=0.57)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if top > 0.1 else 1))
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= top])
    axes.set_facecolor("none")
    axes.tick_params(colors=_shade(INK), labelsize=10)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_shade(INK), size=11)
    axes.spines[:].set_visible(False)
    axes.grid(axis="y", color=_shade(INK), alpha=0.15)


def _unit(seconds: float) -> tuple[float, str]:
    if seconds < 300:
        return 1.0, "seconds"
    return (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")


def _shade(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
