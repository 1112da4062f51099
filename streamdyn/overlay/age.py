"""How long ago each block was computed, as colours: cool where fresh, warm where stale."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.overlay.palette import INK, NIGHT, Colour
from streamdyn.overlay.text import Canvas, line_height, put_text, text_width

COVER = 0.6  # how much of the colour of an age lies over a block
STEPS = 24  # colours

_SCALE: tuple[Colour, ...] = ((52, 84, 190), (40, 168, 176), (246, 206, 92), (214, 40, 58))


def paint_ages(canvas: Canvas, grid: BlockGrid, ages: NDArray[np.integer], longest: int) -> None:
    """Lay colours over a picture by ages (rows, cols) in frames; 0, computed now, has none.

    Args:
        longest: age with the last colour of the scale, which is logarithmic.
    """
    height, width = canvas.shape[:2]
    steps = np.ceil(_place(ages, longest) * STEPS).astype(int)
    for step in np.unique(steps[steps > 0]).tolist():
        blocks = BlockMask(grid, steps == step).pixels(height, width).astype(np.uint8)
        colour = np.full_like(canvas, age_colour(step / STEPS))
        cv2.copyTo(cv2.addWeighted(canvas, 1 - COVER, colour, COVER, 0), blocks, canvas)


def paint_age_scale(canvas: Canvas, longest: int, seconds: float, size: int) -> None:
    """Fill a canvas (some 1.5 times as high as `size`) with the scale, and say what it means.

    Args:
        seconds: that the longest age is worth.
    """
    height, width = canvas.shape[:2]
    places = (np.arange(width) + 1) / width
    canvas[:] = np.array([age_colour(place) for place in places.tolist()], np.uint8)
    top = (height - line_height(size)) // 2
    told = f"{longest} frame{'s' * (longest > 1)}, {seconds:.{1 if seconds >= 1 else 2}f} s"
    free = width - text_width(told, size) - size // 2
    put_text(canvas, told, free, top, size, _ink((free + width) / 2 / width))
    end = 0
    for age in (n * 10**power for power in range(6) for n in (1, 3)):
        place = float(_place(np.array(age), longest))
        left = round(place * width) - text_width(str(age), size)
        if left >= end and left + text_width(str(age), size) + size < free and age < longest:
            end = put_text(canvas, str(age), left, top, size, _ink(place)) + size


def age_colour(place: float) -> Colour:
    """The colour at a place in [0, 1] on the scale."""
    stops = np.linspace(0, 1, len(_SCALE))
    red, green, blue = (
        round(float(np.interp(place, stops, values))) for values in zip(*_SCALE, strict=True)
    )
    return red, green, blue


def _place(ages: NDArray[np.integer], longest: int) -> NDArray[np.float64]:
    """Where ages stand on the scale, in [0, 1]."""
    places: NDArray[np.float64] = np.log1p(np.minimum(ages, longest)) / np.log1p(max(longest, 1))
    return places


def _ink(place: float) -> Colour:
    return NIGHT if np.dot(age_colour(place), (0.299, 0.587, 0.114)) > 140 else INK
