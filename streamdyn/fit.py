"""How a picture lies on a network's input, and how what the network says is carried back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid

FitMode = Literal["stretch", "letterbox", "crop", "pad"]


@dataclass(frozen=True, slots=True)
class Fit:
    """A picture of `source` (height, width) pixels on an input of `size` (height, width) pixels.

    The whole picture is stretched over `picture` (top, left, height, width), in pixels of the
    input. What of the input it does not reach is padding; what of it reaches beyond the input
    (a negative top, say) is cut off.
    """

    source: tuple[int, int]
    size: tuple[int, int]
    picture: tuple[int, int, int, int]

    @classmethod
    def make(
        cls, mode: FitMode, source: tuple[int, int], size: tuple[int, int], zoom: float = 1.0
    ) -> Fit:
        """Fit a source on an input.

        Args:
            mode: "stretch" ignores the aspect ratio; "letterbox" keeps it and pads evenly; "crop"
                keeps it and cuts off evenly what is too long; "pad" does not resize, and pads at
                the right and the bottom.
            zoom: with "crop", how much larger than the input the picture is made before the cut:
                256 / 224 for the usual resize to 256 pixels and centre crop of 224.

        Raises:
            ValueError: a picture that is larger than the input, with "pad".
        """
        height, width = size
        match mode:
            case "stretch":
                return cls(source, size, (0, 0, height, width))
            case "pad":
                if source[0] > height or source[1] > width:
                    raise ValueError(
                        f"a picture of {source[0]}x{source[1]} px cannot be padded to "
                        f"{height}x{width} px; fit it by letterbox instead"
                    )
                return cls(source, size, (0, 0, *source))
            case "letterbox":
                scale = min(height / source[0], width / source[1])
            case "crop":
                scale = max(height / source[0], width / source[1]) * zoom
        fitted = max(round(source[0] * scale), 1), max(round(source[1] * scale), 1)
        return cls(source, size, ((height - fitted[0]) // 2, (width - fitted[1]) // 2, *fitted))

    def grid(self, block: int) -> BlockGrid:
        """The block grid of the input, which knows where the picture lies on it."""
        whole = (0, 0, *self.size)
        return BlockGrid(*self.size, block, None if self.picture == whole else self.picture)

    @property
    def visible(self) -> tuple[int, int, int, int]:
        """The part of the input that shows the picture: (top, left, height, width)."""
        top, left, height, width = self.picture
        bottom, right = min(top + height, self.size[0]), min(left + width, self.size[1])
        top, left = max(top, 0), max(left, 0)
        return top, left, bottom - top, right - left

    def boxes_to_source(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Carry boxes (N, 4), x1 y1 x2 y2 in pixels of the input, to pixels of the source.

        Boxes are clipped to the source.
        """
        top, left, height, width = self.picture
        scale = np.array([self.source[1] / width, self.source[0] / height] * 2, np.float32)
        shift = np.array([left, top] * 2, np.float32)
        limit = np.array([self.source[1], self.source[0]] * 2, np.float32)
        moved: NDArray[np.float32] = np.clip((boxes - shift) * scale, 0, limit)
        return moved.astype(np.float32, copy=False)
