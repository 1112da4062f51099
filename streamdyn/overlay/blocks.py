"""The blocks that were computed."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.overlay.palette import COMPUTED
from streamdyn.overlay.text import Canvas

TINT = 0.2  # how much of the colour lies over a block; less where it singles out less
SEAM = 0.28  # and over the lines between blocks


def paint_blocks(canvas: Canvas, mask: BlockMask) -> None:
    """Tint the computed blocks of a picture, outline them, and mark the seams between them."""
    height, width = canvas.shape[:2]
    chosen = mask.pixels(height, width).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(chosen)
    if not wide:
        return
    window = np.s_[top : top + high, left : left + wide]
    target, inside = canvas[window], chosen[window]
    tinted = cv2.LUT(target, _cover(TINT * (1 - mask.density)))
    for seam in _seams(mask.grid, height, width, window):
        tinted[seam] = cv2.LUT(tinted[seam], _cover(SEAM))
    cv2.copyTo(tinted, inside, target)
    line = max(round(min(height, width) / 240), 1)
    kernel = np.ones((2 * line + 1, 2 * line + 1), np.uint8)
    inner = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    cv2.copyTo(np.full_like(target, COMPUTED), inside - inner, target)


def _cover(part: float) -> NDArray[np.uint8]:
    """What each level of red, green and blue becomes under the colour: (256, 1, 3)."""
    levels = np.arange(256, dtype=np.float32)[:, None, None]
    return (levels * (1 - part) + np.array(COMPUTED, np.float32) * part).astype(np.uint8)


def _seams(
    grid: BlockGrid, height: int, width: int, window: tuple[slice, slice]
) -> Iterator[tuple[slice, slice]]:
    """The lines of pixels of a window at which the blocks of a picture meet."""
    top, left, high, wide = grid.extent
    rows, columns = window
    for edge in range(0, grid.height, grid.block):
        y = (edge - top) * height // high
        if rows.start < y < rows.stop:
            yield np.s_[y - rows.start : y - rows.start + 1, :]
    for edge in range(0, grid.width, grid.block):
        x = (edge - left) * width // wide
        if columns.start < x < columns.stop:
            yield np.s_[:, x - columns.start : x - columns.start + 1]
