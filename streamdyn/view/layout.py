"""Puts panels side by side, each under its title. Lengths in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamdyn.overlay.age import paint_age_scale
from streamdyn.overlay.palette import INK, NIGHT
from streamdyn.overlay.text import line_height, put_text, text_width
from streamdyn.view.panels import Canvas, Panel, title_of

WIDEST = 1920  # of the whole
GAP = 8
SMALLEST = 400  # a panel's longer side: pictures that are smaller are enlarged


class Layout:
    """Where things lie, for frames of one size.

    Args:
        picture: (height, width) of the frames.
        longest: age, in frames and in seconds, at the end of the scale.
    """

    def __init__(
        self,
        panels: Sequence[Panel],
        picture: tuple[int, int],
        columns: int,
        longest: tuple[int, float],
    ) -> None:
        self.panels = panels
        self.columns = columns
        self.rows = -(-len(panels) // columns)
        self.longest = longest
        height, width = picture
        room = (WIDEST - (columns + 1) * GAP) / columns / width
        scale = min(max(1.0, SMALLEST / max(height, width)), room)
        self.size = max(round(height * scale), 1), max(round(width * scale), 1)  # of a panel
        self.text = int(np.clip(self.size[1] / 32, 11, 18))  # size of the letters

    @property
    def width(self) -> int:
        """Of the whole."""
        return self.columns * (self.size[1] + GAP) + GAP

    def titles(self, row: int) -> Canvas:
        """The line of titles above a row; that of ages holds their scale."""
        line = self.blank(line_height(self.text) + GAP)
        for column, panel in enumerate(self._row(row)):
            left = GAP + column * (self.size[1] + GAP)
            end = put_text(line, title_of(panel), left, GAP // 2, self.text)
            if "age" in panel:
                right = left + self.size[1]
                start = max(end + self.text, right - 45 * self.text)
                if start < right:
                    scale = line[GAP // 2 : -GAP // 2, start:right]
                    paint_age_scale(scale, *self.longest, self.text)
        return line

    def pictures(self, row: int, drawn: Sequence[Canvas]) -> Canvas:
        """The pictures of a row, beside each other."""
        height, width = self.size
        canvas = self.blank(height)
        first = row * self.columns
        for column, picture in enumerate(drawn[first : first + self.columns]):
            left = GAP + column * (width + GAP)
            canvas[:, left : left + width] = picture
        return canvas

    def caption(self, *texts: str) -> Canvas:
        """A line of text; what has no room is left out."""
        line = self.blank(line_height(self.text) + 2 * GAP)
        left = GAP
        for text in texts:
            if left + text_width(text, self.text) < self.width:
                left = put_text(line, text, left, GAP, self.text, INK) + 2 * self.text
        return line

    def blank(self, height: int) -> Canvas:
        """An empty strip."""
        return np.full((height, self.width, 3), NIGHT, np.uint8)

    def _row(self, row: int) -> Sequence[Panel]:
        return self.panels[row * self.columns : (row + 1) * self.columns]


def columns_of(panels: int, picture: tuple[int, int]) -> int:
    """How many panels stand beside each other in a video."""
    height, width = picture
    if panels <= 3 or height > width:
        return min(panels, 4)
    return 2 if panels == 4 else 3
