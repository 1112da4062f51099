"""Pictures to a network's input."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.errors import ModelError
from streamdyn.fit import Fit
from streamdyn.models.card import InputCard
from streamdyn.types import Frame
from streamdyn.windows import patches, windows

_DENSEST = 0.2  # of masks; above it, block by block takes longer than all at once
_FEWEST = 160_000  # pixels of an input; for fewer that are there already, the same holds
_LARGEST = 64  # pictures may be made this many times larger than the input, then cut


class Prepare:
    """Turns the pictures of one stream into the input of a network, in memory that it reuses.

    Raises:
        ModelError: a picture so long and narrow that next to nothing of it would be left.
    """

    def __init__(self, card: InputCard, fit: Fit) -> None:
        height, width = fit.size
        fitted_height, fitted_width = fit.picture[2:]
        if fitted_height * fitted_width > _LARGEST * height * width:
            raise ModelError(
                f"a picture of {fit.source[0]}x{fit.source[1]} px cannot be cropped to "
                f'{height}x{width} px; set fit = "letterbox" in the model\'s card'
            )
        self._fit = fit
        self._resized = fit.picture[2:] != fit.source
        self._interpolation = _interpolation(card, fit)
        self._fitted = np.empty((fitted_height, fitted_width, 3), np.uint8)
        self._canvas = np.full((height, width, 3), card.pad, np.uint8)
        self._planes = np.empty((3, height, width), np.uint8)
        self._input = np.empty((1, 3, height, width), np.float32)
        # Pixels have 256 values: a table makes scaling exact, and one pass.
        mean, std = np.array([card.mean, card.std])[..., None]
        self._table = ((np.arange(256) / card.scale - mean) / std).astype(np.float32)
        self._order = (0, 1, 2) if card.color == "rgb" else (2, 1, 0)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The input (1, 3, H, W) of a picture (h, w, 3) in RGB; the next call overwrites it."""
        cv2.split(self._lay(image), list(self._planes))
        for channel, plane in enumerate(self._order):
            cv2.LUT(self._planes[plane], self._table[channel], dst=self._input[0, channel])
        return self._input

    def update(self, frame: Frame, mask: BlockMask) -> NDArray[np.float32]:
        """Bring the masked blocks of the input up to date; the others hold older pictures."""
        if mask.density > _DENSEST or (self._resized and self._input[0, 0].size < _FEWEST):
            return self(frame.image)
        block = mask.grid.block
        start, extent = np.array(self._fit.visible).reshape(2, 2)
        blocks = np.argwhere(mask.active) * block
        shown = ((blocks + block > start) & (blocks < start + extent)).all(axis=1)
        # Blocks that the picture fills in part are moved onto it: what is made besides is right.
        height, width = np.minimum(block, extent).tolist()
        corners = np.clip(blocks[shown], start, start + extent - (height, width))
        if len(corners):
            self._scale(self._parts(frame, corners, (height, width)), corners)
        return self._input

    def _parts(
        self, frame: Frame, corners: NDArray[np.intp], size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Parts (N, h, w, 3) of the canvas, at `corners` (N, 2) of it."""
        if self._resized:  # by itself, a part would not become quite what it does in the whole
            return patches(self._lay(frame.image), corners, size)
        return frame.patches(corners - self._fit.picture[:2], size)

    def _scale(self, parts: NDArray[np.uint8], corners: NDArray[np.intp]) -> None:
        """Write parts (N, h, w, 3) to the input."""
        count, height, width, _ = parts.shape
        planes = cv2.split(parts.reshape(-1, width, 3))
        target = windows(self._input[0], (height, width))
        top, left = corners.T
        for channel, plane in enumerate(self._order):
            scaled = cv2.LUT(planes[plane], self._table[channel])
            target[channel, top, left] = scaled.reshape(count, height, width)

    def _lay(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture on the canvas of the input: (H, W, 3)."""
        if image.shape != self._fitted.shape:
            height, width, _ = self._fitted.shape
            cv2.resize(image, (width, height), self._fitted, interpolation=self._interpolation)
            image = self._fitted
        top, left, height, width = self._fit.visible
        down, across = top - self._fit.picture[0], left - self._fit.picture[1]
        seen = image[down : down + height, across : across + width]
        if seen.shape == self._canvas.shape:
            return seen
        self._canvas[top : top + height, left : left + width] = seen
        return self._canvas


def _interpolation(card: InputCard, fit: Fit) -> int:
    match card.interpolation:
        case "nearest":
            return cv2.INTER_NEAREST_EXACT
        case "bicubic":
            return cv2.INTER_CUBIC
        case "area" if fit.picture[2] < fit.source[0] and fit.picture[3] < fit.source[1]:
            return cv2.INTER_AREA
        case _:  # averaging areas is for shrinking
            return cv2.INTER_LINEAR
