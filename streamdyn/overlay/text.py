"""Text, in a size that goes with the picture."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamdyn.overlay.palette import INK, NIGHT, Colour

if TYPE_CHECKING:
    from PIL import ImageFont

Canvas = NDArray[np.uint8]  # (H, W, 3) RGB, painted in place


def text_size(canvas: Canvas) -> int:
    """The size of text that is legible on a picture, in pixels."""
    side: int = min(canvas.shape[:2])
    return max(round(side / 34), 11)


def line_height(size: int) -> int:
    """The height of a line of text."""
    return round(size * 1.45)


def text_width(text: str, size: int) -> int:
    """How wide a text is."""
    return int(_ink(text, size).shape[1])


def put_text(canvas: Canvas, text: str, x: int, y: int, size: int, colour: Colour = INK) -> int:
    """Write a line with its upper left corner at (x, y). Returns where it ends, in x.

    What lies beyond the picture is cut off.
    """
    ink = _ink(text, size)
    end = x + int(ink.shape[1])
    ink = ink[max(-y, 0) :, max(-x, 0) :]
    target = canvas[max(y, 0) :, max(x, 0) :][: ink.shape[0], : ink.shape[1]]
    cover = ink[: target.shape[0], : target.shape[1], None] / np.float32(255)
    target[:] = target + (np.array(colour, np.float32) - target) * cover
    return end


def shade(
    canvas: Canvas, box: tuple[int, int, int, int], colour: Colour = NIGHT, cover: float = 0.65
) -> None:
    """Lay a colour over a box x1 y1 x2 y2, through which the picture shows where cover is < 1."""
    x1, y1, x2, y2 = np.maximum(box, 0)
    target = canvas[y1:y2, x1:x2]
    target[:] = target * np.float32(1 - cover) + np.array(colour, np.float32) * np.float32(cover)


@lru_cache(maxsize=256)
def _ink(text: str, size: int) -> NDArray[np.uint8]:
    """How much of each pixel of a line its text covers: (h, w), 255 for all of it."""
    from PIL import Image, ImageDraw

    text = "".join(letter if letter.isprintable() else " " for letter in text)
    font = _font(size)
    width = max(round(font.getlength(text)), 1)
    ascent, descent = font.getmetrics()
    height = line_height(size)
    image = Image.new("L", (width, height))
    top = (height - ascent - descent) // 2
    ImageDraw.Draw(image).text((0, top), text, fill=255, font=font)
    return np.asarray(image)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    # It comes with matplotlib, and has Cyrillic, Greek and Arabic where Pillow's own has not.
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(path, size)
