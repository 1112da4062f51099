"""Pictures to pieces: all that a network has to see of them, as pixels of its input."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.errors import ModelError
from streamdyn.fit import Fit
from streamdyn.models.card import InputCard
from streamdyn.types import Frame
from streamdyn.windows import patches

_DENSEST = 0.2  # of masks; above it, block by block takes longer than all at once
_FEWEST = 160_000  # pixels of an input; for fewer that are there already, the same holds
_LARGEST = 64  # pictures may be made this many times larger than the input, then cut


@dataclass(frozen=True, slots=True)
class Pieces:
    """Parts of a network's input, in pixels."""

    corners: NDArray[np.intp]  # (N, 2) top and left of each
    pixels: NDArray[np.uint8]  # (N, height, width, 3) in RGB


@dataclass(frozen=True, slots=True)
class Intake:
    """What a stream needs to know of a model, to send it pieces of its pictures."""

    card: InputCard
    fit: Fit
    grid: BlockGrid
    on_blocks: bool  # whether the network reads only the masked blocks of its input

    def cutter(self) -> Cutter:
        """What cuts the pictures, for pieces that travel."""
        return Cutter(self.card, self.fit, sparing=True)

    def seen(self, mask: BlockMask) -> BlockMask:
        """The blocks that a network has to see to compute `mask`."""
        return mask if self.on_blocks else mask.grid.all()


class Cutter:
    """Cuts the pictures of one stream into pieces, in memory that it reuses.

    Args:
        sparing: never give more than what is asked for: pieces travel. Otherwise the whole picture
            may come where that is made sooner.

    Raises:
        ModelError: a picture so long and narrow that next to nothing of it would be left.
    """

    def __init__(self, card: InputCard, fit: Fit, *, sparing: bool = False) -> None:
        height, width = fit.size
        fitted_height, fitted_width = fit.picture[2:]
        if fitted_height * fitted_width > _LARGEST * height * width:
            raise ModelError(
                f"a picture of {fit.source[0]}x{fit.source[1]} px cannot be cropped to "
                f'{height}x{width} px; set fit = "letterbox" in the model\'s card'
            )
        self._fit = fit
        self._resized = fit.picture[2:] != fit.source
        few = self._resized and height * width < _FEWEST
        self._densest = 1.0 if sparing else 0.0 if few else _DENSEST
        self._interpolation = _interpolation(card, fit)
        self._fitted = np.empty((fitted_height, fitted_width, 3), np.uint8)
        self._canvas = np.full((height, width, 3), card.pad, np.uint8)

    def whole(self, image: NDArray[np.uint8]) -> Pieces:
        """A picture (h, w, 3) in RGB as one piece; the next call overwrites it."""
        return Pieces(np.zeros((1, 2), np.intp), self._lay(image)[None])

    def __call__(self, frame: Frame, mask: BlockMask) -> Pieces:
        """The masked blocks, or more; the next call overwrites them."""
        density = mask.density
        if density == 1 or density > self._densest:
            return self.whole(frame.image)
        block = mask.grid.block
        start, extent = np.array(self._fit.visible).reshape(2, 2)
        blocks = np.argwhere(mask.active) * block
        shown = ((blocks + block > start) & (blocks < start + extent)).all(axis=1)
        # Blocks that the picture fills in part are moved onto it: what is made besides is right.
        height, width = np.minimum(block, extent).tolist()
        corners = np.clip(blocks[shown], start, start + extent - (height, width))
        return Pieces(corners, self._parts(frame, corners, (height, width)))

    def _parts(
        self, frame: Frame, corners: NDArray[np.intp], size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Parts (N, h, w, 3) of the canvas, at `corners` (N, 2) of it."""
        if not len(corners):
            return np.empty((0, *size, 3), np.uint8)
        if self._resized:  # by itself, a part would not become quite what it does in the whole
            return patches(self._lay(frame.image), corners, size)
        return frame.patches(corners - self._fit.picture[:2], size)

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
