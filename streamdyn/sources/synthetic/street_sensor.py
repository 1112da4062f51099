"""What a sensor makes of a synthetic street: lens blur, passing clouds, noise."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MARGIN = 128  # pixels by which the tile of noise is shifted between frames, at most


class Sensor:
    """Turns clean pictures of `size` (height, width) pixels into what a camera records."""

    def __init__(
        self, rng: np.random.Generator, size: tuple[int, int], noise: float, drift: float
    ) -> None:
        self._size, self._drift = size, drift
        self._period_seconds, self._phase = rng.uniform(12, 30), rng.uniform(0, 2 * np.pi)
        self._seed = int(rng.integers(2**32))
        tile = (size[0] + _MARGIN, size[1] + _MARGIN, 3)
        grains = rng.standard_normal(tile, np.float32) * np.float32(noise)
        self._noise = np.clip(np.rint(grains), -127, 127).astype(np.int8)

    def expose(self, image: NDArray[np.uint8], index: int, seconds: float) -> NDArray[np.uint8]:
        """Frame `index`, taken at a time, of what is before the lens: (H, W, 3)."""
        gain = 1 + self._drift * np.sin(2 * np.pi * seconds / self._period_seconds + self._phase)
        table = np.clip(np.arange(256) * gain + 0.5, 0, 255).astype(np.uint8)
        seen = cv2.LUT(cv2.GaussianBlur(image, (3, 3), 0.6), table)
        row, column = np.random.default_rng([self._seed, index]).integers(_MARGIN, size=2)
        noise = self._noise[row : row + self._size[0], column : column + self._size[1]]
        return np.asarray(cv2.add(seen, noise, dtype=cv2.CV_8U), np.uint8)
