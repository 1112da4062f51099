"""Drawing in a picture and in its map of identities at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamdyn.sources.synthetic.street_camera import Colour, Floats

_SHIFT = 3  # OpenCV draws at eighths of a pixel
_FAR = 8000.0  # pixels; what lies farther outside of the picture is moved to here


def fixed_point(pixels: Floats) -> NDArray[np.int32]:
    """Columns and rows (..., 2), where 0.5 is the middle of the first pixel, for OpenCV."""
    inside = np.clip(pixels - 0.5, -_FAR, _FAR)
    return np.asarray(np.rint(inside * 2**_SHIFT), np.int32)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a mover is at one moment, and how it goes."""

    position: Floats  # (3,), metres, on the ground
    gone: float  # metres on its way so far
    pace: float  # share of its usual speed, in [0, 1]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture, and which mover each of its pixels shows."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    identities: NDArray[np.uint8]  # (H, W), 0 where nothing moves

    def polygon(self, corners: NDArray[np.int32], colour: Colour, identity: int) -> None:
        """Fill a convex polygon of corners (N, 2) in fixed point."""
        cv2.fillConvexPoly(self.image, corners, colour, shift=_SHIFT)
        cv2.fillConvexPoly(self.identities, corners, identity, shift=_SHIFT)

    def detail(self, corners: NDArray[np.int32], colour: Colour) -> None:
        """Fill a convex polygon on a surface that is drawn already."""
        cv2.fillConvexPoly(self.image, corners, colour, shift=_SHIFT)

    def limb(
        self, joints: Sequence[NDArray[np.int32]], width: float, colour: Colour, identity: int
    ) -> None:
        """A bent line, `width` pixels wide with round ends, through joints in fixed point."""
        thickness = max(round(width), 1)
        line = np.array(joints, np.int32)[:, None]
        cv2.polylines(self.image, [line], False, colour, thickness, shift=_SHIFT)
        cv2.polylines(self.identities, [line], False, identity, thickness, shift=_SHIFT)

    def disc(self, centre: NDArray[np.int32], radius: float, colour: Colour, identity: int) -> None:
        """A filled circle, `radius` in pixels."""
        at, size = (int(centre[0]), int(centre[1])), max(round(radius * 2**_SHIFT), 1)
        cv2.circle(self.image, at, size, colour, cv2.FILLED, shift=_SHIFT)
        cv2.circle(self.identities, at, size, identity, cv2.FILLED, shift=_SHIFT)
