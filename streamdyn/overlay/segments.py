"""The segments of a picture: the class of each pixel, as a colour."""

from __future__ import annotations

import cv2
import numpy as np

from streamdyn.overlay.palette import class_colour, class_colours
from streamdyn.overlay.text import Canvas, line_height, put_text, shade, text_size, text_width
from streamdyn.types import Segmentation

COVER = 0.5  # how much of the colour of a class lies over its pixels

# What networks call the class of all that has no class; it stays as it is.
_NOTHING = frozenset({"background", "__background__", "void", "unlabeled", "unlabelled", "other"})


def paint_segments(canvas: Canvas, result: Segmentation) -> None:
    """Lay the colours of the classes over their pixels, full on the borders between them."""
    labels = result.labels
    colours = cv2.applyColorMap(labels, class_colours(result.classes)[:, None])
    shown = np.ones(256, np.uint8)
    shown[[n for n, name in enumerate(result.classes) if _is_nothing(name)]] = 0
    visible = cv2.LUT(labels, shown)
    cv2.copyTo(cv2.addWeighted(canvas, 1 - COVER, colours, COVER, 0), visible, canvas)
    line = max(round(min(labels.shape) / 400), 1)
    kernel = np.ones((line + 1, line + 1), np.uint8)
    borders = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, kernel)
    cv2.copyTo(colours, cv2.min(borders, visible), canvas)


def paint_legend(canvas: Canvas, result: Segmentation) -> None:
    """Name the classes in the picture, the largest first, as many as have room."""
    size = text_size(canvas)
    pad, line = size // 2, line_height(size)
    room = max((canvas.shape[0] // 2 - 2 * pad) // line, 0)
    areas = cv2.calcHist([result.labels], [0], None, [256], [0, 256]).ravel()
    order = [n for n in np.argsort(-areas, kind="stable").tolist() if areas[n]]
    named = [n for n in order if n < len(result.classes) and not _is_nothing(result.classes[n])]
    seen = [(n, result.classes[n]) for n in named[:room]]
    if not seen:
        return
    width = 3 * pad + size + max(text_width(name, size) for _, name in seen)
    shade(canvas, (0, 0, width, 2 * pad + len(seen) * line))
    for row, (n, name) in enumerate(seen):
        y = pad + row * line
        top = y + (line - size) // 2
        shade(canvas, (pad, top, pad + size, top + size), class_colour(n, name), 1.0)
        put_text(canvas, name, 2 * pad + size, y, size)


def _is_nothing(name: str) -> bool:
    return name.lower() in _NOTHING
