"""What tests of the view draw: runs of a moving square, and what is known of them."""

from __future__ import annotations

import numpy as np

from streamdyn import Detections, Frame

NOTHING = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ()
)


def frame_of(index: int, size: tuple[int, int] = (96, 160)) -> Frame:
    image = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
    return Frame.from_image(image, index=index, pts_seconds=index / 25, stream="cam")
