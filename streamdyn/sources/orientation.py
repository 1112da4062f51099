"""How a coded picture must be turned to stand upright."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

# Counter-clockwise quarter turns for the direction that the picture's x axis ends up in.
_TURNS = {(1, 0): 0, (0, -1): 1, (-1, 0): 2, (0, 1): 3}


@dataclass(frozen=True, slots=True)
class Orientation:
    """A mirroring left to right, and then quarter turns counter-clockwise."""

    mirrored: bool = False
    quarter_turns: int = 0

    @classmethod
    @lru_cache(maxsize=32)
    def from_display_matrix(cls, matrix: bytes) -> Orientation:
        """Read FFmpeg's display matrix: nine int32, a b u c d v x y w.

        It carries a pixel (x, y) to (a x + c y, b x + d y), y pointing down. Angles between the
        quarter turns are rounded.
        """
        a, b, _, c, d = np.frombuffer(matrix, np.int32, count=5).astype(np.float64)
        mirrored = bool(a * d - b * c < 0)
        if mirrored:
            a, b = -a, -b
        x_axis = (int(np.sign(a)), 0) if abs(a) >= abs(b) else (0, int(np.sign(b)))
        return cls(mirrored, _TURNS.get(x_axis, 0))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a coded picture when upright."""
        return (width, height) if self.quarter_turns % 2 else (height, width)

    def turn(self, picture: NDArray[Scalar]) -> NDArray[Scalar]:
        """A view of a coded picture (H, W, ...), upright."""
        if self.mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, self.quarter_turns) if self.quarter_turns else picture

    def coded_patches(
        self, corners: NDArray[np.intp], size: tuple[int, int], height: int, width: int
    ) -> tuple[NDArray[np.intp], tuple[int, int]]:
        """Where patches of the upright picture lie in the coded one of `height` x `width`.

        `corners` are (N, 2), top and left, before and after; `size` is that of all patches.
        """
        if not (self.mirrored or self.quarter_turns):
            return corners, size
        top, left = corners.T
        for turns in reversed(range(self.quarter_turns)):
            _, across = Orientation(quarter_turns=turns).size(height, width)
            top, left, size = left, across - top - size[0], (size[1], size[0])
        if self.mirrored:
            left = width - left - size[1]
        return np.stack([top, left], axis=1), size

    def turn_points(self, points: NDArray[Scalar], height: int, width: int) -> NDArray[Scalar]:
        """Carry points (N, 2), x y in a coded picture of `height` x `width`, to the upright one.

        With a height and width of 0, vectors instead of points.
        """
        x, y = points.T
        if self.mirrored:
            x = width - x
        for _ in range(self.quarter_turns):
            x, y = y, width - x
            height, width = width, height
        return np.stack([x, y], axis=1)
