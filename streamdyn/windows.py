"""Windows of maps: many parts of one size, to read or write at once."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def windows(maps: NDArray[Scalar], size: tuple[int, int]) -> NDArray[Scalar]:
    """Every window of `size` (height, width) of maps (..., H, W), as a view.

    `windows(maps, size)[..., top, left, :, :]` is the window with its upper left corner there. It
    can be written if the maps can. Like numpy's `sliding_window_view`, without its overhead, which
    would count here.
    """
    *lead, height, width = maps.shape
    shape = (*lead, height - size[0] + 1, width - size[1] + 1, *size)
    return as_strided(maps, shape, maps.strides + maps.strides[-2:])


def patches(
    image: NDArray[Scalar], corners: NDArray[np.intp], size: tuple[int, int]
) -> NDArray[Scalar]:
    """Copies (N, h, w, C) of parts of an image (H, W, C), at `corners` (N, 2): top and left."""
    height, width, channels = image.shape
    top, left = corners.T
    rows = windows(image.reshape(height, width * channels), (size[0], size[1] * channels))
    found: NDArray[Scalar] = rows[top, left * channels].reshape(-1, *size, channels)
    return found
