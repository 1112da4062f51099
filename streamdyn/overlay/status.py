"""The strip at the bottom: when, what was done, how old the result is, how much it cost."""

from __future__ import annotations

from streamdyn.overlay.palette import COMPUTED, FAULT, INK, REUSED, Colour
from streamdyn.overlay.text import Canvas, line_height, put_text, shade, text_size, text_width
from streamdyn.types import Prediction


def paint_status(canvas: Canvas, prediction: Prediction) -> None:
    """Draw the strip over the bottom of a picture, unless that would hide half of it."""
    size = text_size(canvas)
    height = len(canvas)
    top = height - strip_height(size)
    if top >= height // 2:
        shade(canvas, (0, top, canvas.shape[1], height))
        paint_strip(canvas[top:], prediction, size)


def strip_height(size: int) -> int:
    """The height of a strip with text of a size, in pixels."""
    return line_height(size) + size // 2


def paint_strip(canvas: Canvas, prediction: Prediction, size: int) -> None:
    """Draw on a canvas as high as the strip. Words that have no room are left out."""
    height, width = canvas.shape[:2]
    y, pad = size // 4, size // 2
    colour = COMPUTED if prediction.status == "computed" else REUSED
    shade(canvas, (0, 0, max(size // 4, 2), height), colour, 1.0)
    words: list[tuple[str, Colour]] = [(prediction.status, colour)]
    if prediction.fault is not None:
        words.append(("policy fault", FAULT))
    if prediction.age_frames:
        frames = f"{prediction.age_frames} frame{'s' * (prediction.age_frames > 1)}"
        words.append((f"{frames} ({prediction.age_seconds:.2f} s) old", colour))
    right = _paint_density(canvas, prediction.density, width - pad, y, size)
    x = pad + size // 4
    for text, ink in ((clock(prediction.pts_seconds), INK), *words, (f"#{prediction.index}", INK)):
        if x + text_width(text, size) > right - pad:
            break
        x = put_text(canvas, text, x, y, size, ink) + size


def _paint_density(canvas: Canvas, density: float, right: int, y: int, size: int) -> int:
    """The density in words and as a gauge that ends at `right`. Returns where that starts."""
    text = f"density {density:.0%}" if canvas.shape[1] > 40 * size else f"{density:.0%}"
    bar = 5 * size
    start = right - bar - size // 2 - text_width(text, size)
    put_text(canvas, text, start, y, size, COMPUTED)
    top, bottom = y + line_height(size) * 2 // 5, y + line_height(size) * 3 // 5
    shade(canvas, (right - bar, top, right, bottom), INK, 0.2)
    filled = right - bar + round(bar * min(max(density, 0.0), 1.0))
    shade(canvas, (right - bar, top, filled, bottom), COMPUTED, 1.0)
    return start


def clock(seconds: float) -> str:
    """1:02:03.4, without the hours and minutes that are none."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes}:{tenths / 10:04.1f}"
    return f"{hours}:{clock:>07}" if hours else clock
