"""Pieces of pictures to a network's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.models.card import InputCard
from streamdyn.models.cut import Pieces
from streamdyn.windows import windows


class Prepare:
    """Writes the pictures of one stream to the input of a network, in memory that it reuses.

    Args:
        size: (height, width) of the input.
    """

    def __init__(self, card: InputCard, size: tuple[int, int]) -> None:
        self._planes = np.empty((3, *size), np.uint8)
        # Pixels have 256 values: a table makes scaling exact, and one pass.
        mean, std = np.array([card.mean, card.std])[..., None]
        self._table = ((np.arange(256) / card.scale - mean) / std).astype(np.float32)
        self._input = np.empty((1, 3, *size), np.float32)
        self._input[0] = self._table[:, card.pad, None, None]  # where no piece reaches
        self._order = (0, 1, 2) if card.color == "rgb" else (2, 1, 0)

    def __call__(self, pieces: Pieces) -> NDArray[np.float32]:
        """The input (1, 3, H, W) with the pieces brought up to date; the rest is older."""
        if pieces.pixels.shape[1:3] == self._input.shape[2:] and len(pieces.pixels):
            self._scale_whole(pieces.pixels[0])  # of blocks as large as the input there is one
        elif len(pieces.pixels):
            self._scale(pieces)
        return self._input

    def _scale_whole(self, image: NDArray[np.uint8]) -> None:
        cv2.split(image, list(self._planes))
        for channel, plane in enumerate(self._order):
            cv2.LUT(self._planes[plane], self._table[channel], dst=self._input[0, channel])

    def _scale(self, pieces: Pieces) -> None:
        count, height, width, _ = pieces.pixels.shape
        planes = cv2.split(pieces.pixels.reshape(-1, width, 3))
        target = windows(self._input[0], (height, width))
        top, left = pieces.corners.T
        for channel, plane in enumerate(self._order):
            scaled = cv2.LUT(planes[plane], self._table[channel])
            target[channel, top, left] = scaled.reshape(count, height, width)
