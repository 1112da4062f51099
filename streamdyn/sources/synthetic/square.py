"""A light scene for tests and examples: a square that moves over still noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SquareScene:
    """One frame, and what is true of it."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    box: tuple[int, int, int, int]  # x1 y1 x2 y2 of the square


class Square:
    """A bright square, a fourth of the picture's shorter side, that moves `step` pixels a frame.

    Args:
        step: pixels to the right for each frame; at the border it comes in again at the left.

    Raises:
        ValueError: a size, rate or number of frames is not positive.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        height: int = 128,
        width: int = 192,
        fps: float = 25.0,
        frames: int = 50,
        step: int = 4,
    ) -> None:
        if min(height, width, frames) < 1 or fps <= 0:
            raise ValueError("height, width, fps and frames must be more than 0")
        self.size, self.fps = (height, width), fps
        self._frames = frames
        self._step = step
        noise = np.random.default_rng(seed).integers(40, 140, (height, width, 3), np.uint8)
        self._background = noise
        self._side = max(min(height, width) // 4, 1)

    def __len__(self) -> int:
        return self._frames

    def render(self, index: int) -> SquareScene:
        """Draw one frame; it depends on nothing but its index."""
        (height, width), side = self.size, self._side
        left = index * self._step % max(width - side, 1)
        top = (height - side) // 2
        image = self._background.copy()
        image[top : top + side, left : left + side] = 230
        return SquareScene(image, (left, top, left + side, top + side))
