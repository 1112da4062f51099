"""Boxes and classes, with their names and scores."""

from __future__ import annotations

import cv2
import numpy as np

from streamdyn.overlay.palette import INK, NIGHT, Colour, class_colour
from streamdyn.overlay.text import Canvas, line_height, put_text, shade, text_size, text_width
from streamdyn.types import Classification, Detections


def paint_classes(canvas: Canvas, result: Classification) -> None:
    """A panel with the classes that have room, each with a bar as long as its score."""
    size = text_size(canvas)
    pad, line = size // 2, line_height(size)
    bar = 5 * size
    names = max((text_width(name, size) for name in result.names), default=0)
    right = min(3 * pad + names + bar, canvas.shape[1])
    rows = list(zip(result.labels.tolist(), result.names, result.scores.tolist(), strict=True))
    rows = rows[: max((canvas.shape[0] - 2 * pad) // line, 0)]
    if not rows:
        return
    shade(canvas, (0, 0, right, 2 * pad + len(rows) * line))
    for row, (label, name, score) in enumerate(rows):
        y = pad + row * line
        put_text(canvas, name, pad, y, size)
        left = 2 * pad + names
        box = (left, y + line // 5, left + bar, y + line - line // 5)
        _gauge(canvas, box, score, class_colour(label, name))
        put_text(canvas, f"{score:.0%}", left + pad // 2, y, size)


def _gauge(canvas: Canvas, box: tuple[int, int, int, int], part: float, colour: Colour) -> None:
    left, top, right, bottom = box
    shade(canvas, box, INK, 0.15)
    if np.isfinite(part):
        filled = left + round((right - left) * min(max(part, 0.0), 1.0))
        shade(canvas, (left, top, filled, bottom), colour, 0.9)


def paint_boxes(canvas: Canvas, result: Detections) -> None:
    """Boxes with the class and the score above, the surest on top."""
    size = text_size(canvas)
    line = max(round(size / 7), 1)
    order = np.argsort(result.scores)
    for n in order[np.isfinite(result.boxes[order]).all(axis=1)].tolist():
        colour = class_colour(int(result.labels[n]), result.names[n])
        x1, y1, x2, y2 = np.rint(np.clip(result.boxes[n], -1e4, 1e5)).astype(int).tolist()
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line, cv2.LINE_AA)
        text = f"{result.names[n]} {result.scores[n]:.2f}"
        _paint_plate(canvas, text, x1 - line // 2, y1, size, colour)


def _paint_plate(canvas: Canvas, text: str, x: int, y: int, size: int, colour: Colour) -> None:
    """A text on a plate that stands on the height y, or hangs from it at the top of the picture."""
    pad, height = size // 4, line_height(size)
    if canvas.shape[0] < 3 * height:  # it would hide the picture
        return
    width = text_width(text, size) + 2 * pad
    x = max(min(x, canvas.shape[1] - width), 0)
    y = y - height if y >= height else max(y, 0)
    shade(canvas, (x, y, x + width, y + height), colour, 0.92)
    dark = np.dot(colour, (0.299, 0.587, 0.114)) > 140
    put_text(canvas, text, x + pad, y, size, NIGHT if dark else (255, 255, 255))
