"""Recompute the blocks that changed by more than noise and light explain."""

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn import Frame, ScorePolicy, StreamState

from .light import Cells, Light
from .noise import Noise

_CELLS = 8  # along a side of a block


class AdaptiveChange(ScorePolicy):
    """Compute the blocks that changed by more than noise and the light of the picture explain.

    Sensor noise, the flicker of compression and clouds that pass are no change: each of the 64
    cells of a block has its own estimate of its noise, and a gain and an offset that all of the
    picture has in common are taken away. What moves for ever stays a change. A block's score is
    that of its most changed 2 x 2 cells.

    Args:
        threshold: standard deviations of the noise.
        margin: how far around a change is computed, in blocks: as far as what the network says
            of a place depends on its neighbours.
        light: grey levels by which the light may change until a block is due all the same. Where
            most of the picture is, as when lights go off, all of it is computed.
    """

    def __init__(self, threshold: float = 6.0, margin: float = 0.5, light: float = 24.0) -> None:
        super().__init__(threshold)
        if margin < 0 or light <= 0:
            raise ValueError(
                f"margin must not be negative and light must be above 0, got {margin}, {light}"
            )
        self.margin = margin
        self.light = light
        self.reset()

    def reset(self) -> None:
        self._light: Light | None = None
        self._noise: Noise | None = None

    def scores(self, frame: Frame, state: StreamState) -> NDArray[np.float32]:
        before, now = (_cells(luma, state) for luma in (state.reference, frame.luma))
        if self._light is None or self._noise is None:
            shown = _cells(np.ones(frame.size, bool), state) > 0
            self._light, self._noise = Light(shown), Noise(np.abs(now - before), shown)
        expected = self._light.carry(before, now, state.age == 1)
        errors = np.abs(now - expected)
        scores = self._spread(self._noise.multiples(errors))
        relit = np.abs(expected - before).mean(axis=(1, 3)) > self.light
        scores[relit if relit.mean() < 0.5 else ...] = np.inf
        return scores

    def _spread(self, changes: Cells) -> NDArray[np.float32]:
        """The largest change on each block (rows, cols) and within the margin around it."""
        rows, _, cols, _ = changes.shape
        powers = cv2.blur(changes.reshape(rows * _CELLS, cols * _CELLS) ** 2, (2, 2))
        reach = 2 * round(self.margin * _CELLS) + 1
        spread = cv2.dilate(powers, np.ones((reach, reach), np.uint8))
        scores: NDArray[np.float32] = np.sqrt(spread.reshape(changes.shape).max(axis=(1, 3)))
        return scores


def _cells(values: NDArray[np.generic], state: StreamState) -> Cells:
    rows, cols = state.grid.shape
    return state.grid.cell_means(values, _CELLS).reshape(rows, _CELLS, cols, _CELLS)
