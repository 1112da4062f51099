"""Where the pixels of a frame come from: the decoder's own planes, or an array."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import av
import cv2
import numpy as np
from av.sidedata.motionvectors import MotionVectors as CodedMotion
from av.sidedata.sidedata import SideData
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from streamdyn.sources.orientation import Orientation
from streamdyn.types import MotionVectors
from streamdyn.windows import patches, windows

UPRIGHT = Orientation()

# Of these, with even sides, swscale makes each RGB pixel from the samples at its own place alone
# (the chroma of its pair or square of pixels, not that of the neighbours). So the pixels of a patch
# are the same whether the rest of the picture is there or not.
_POINTWISE = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p"})


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """How a decoded frame must be turned, as its display matrix says."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return UPRIGHT
    return Orientation.from_display_matrix(bytes(matrix))


class DecodedPixels:
    """Pixels of a frame of the decoder, which they keep alive."""

    __slots__ = ("_frame", "_orientation")

    def __init__(self, frame: av.VideoFrame, orientation: Orientation) -> None:
        self._frame = frame
        self._orientation = orientation

    def luma(self) -> NDArray[np.uint8]:
        """The Y plane as coded, without copying where it has 8 bits and stands by itself."""
        frame = self._frame
        layout = _luma_layout(frame.format.name)
        if layout != "plane":
            frame = _convert(frame, "gray" if layout == "rgb" else "yuv444p")
        return self._orientation.turn(_lines(frame.planes[0], frame.height, frame.width))

    def image(self) -> NDArray[np.uint8]:
        """RGB, by the colour matrix and range that the frame names."""
        return self._orientation.turn(
            _convert(self._frame, "rgb24").to_ndarray().astype(np.uint8, copy=False)
        )

    def patches(self, corners: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.uint8] | None:
        """Patches of `image`, converted without the rest; None where they would differ from it."""
        frame, turned = self._frame, self._orientation
        corners, (height, width) = turned.coded_patches(corners, size, frame.height, frame.width)
        odd = (height | width | frame.height | frame.width) % 2 or (corners % 2).any()
        if odd or frame.format.name not in _POINTWISE:
            return None
        strip = _convert(_strip(frame, corners, (height, width)), "rgb24")
        lines = _lines(strip.planes[0], strip.height, 3 * width)
        parts = lines.reshape(-1, height, width, 3)
        return turned.turn(parts.transpose(1, 2, 0, 3)).transpose(2, 0, 1, 3)

    def motion(self) -> MotionVectors | None:
        """Vectors from earlier pictures; those of B-frames from later ones are left out."""
        coded = self._frame.side_data.get("MOTION_VECTORS")
        if not isinstance(coded, CodedMotion):
            return None
        return _upright_motion(
            coded.to_ndarray(), self._orientation, self._frame.height, self._frame.width
        )


class ArrayPixels:
    """Pixels of a packed picture (H, W, 3) or grey one (H, W), as OpenCV gives them."""

    __slots__ = ("_array", "_order")

    def __init__(self, array: NDArray[np.uint8], order: Literal["rgb", "bgr", "gray"]) -> None:
        self._array = array
        self._order = order

    def luma(self) -> NDArray[np.uint8]:
        if self._order == "gray":
            return self._array
        code = cv2.COLOR_RGB2GRAY if self._order == "rgb" else cv2.COLOR_BGR2GRAY
        return cv2.cvtColor(self._array, code).astype(np.uint8, copy=False)

    def image(self) -> NDArray[np.uint8]:
        if self._order == "rgb":
            return self._array
        code = cv2.COLOR_GRAY2RGB if self._order == "gray" else cv2.COLOR_BGR2RGB
        return cv2.cvtColor(self._array, code).astype(np.uint8, copy=False)

    def patches(self, corners: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.uint8] | None:
        """Patches of a picture in colour."""
        if self._order == "gray":
            return None
        found = patches(self._array, corners, size)
        return found if self._order == "rgb" else found[..., ::-1]

    def motion(self) -> None:
        return None


@lru_cache(maxsize=64)
def _luma_layout(pixel_format: str) -> Literal["plane", "other yuv", "rgb"]:
    components = av.VideoFormat(pixel_format).components
    first = components[0]
    if not first.is_luma or pixel_format in ("pal8", "monow", "monob"):
        return "rgb"
    alone = all(other.plane != first.plane for other in components[1:])
    return "plane" if first.bits == 8 and alone else "other yuv"


def _lines(plane: VideoPlane, height: int, width: int) -> NDArray[np.uint8]:
    """The bytes of a plane that are shown: (height, width), a view."""
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return lines[:height, :width]


def _strip(frame: av.VideoFrame, corners: NDArray[np.intp], size: tuple[int, int]) -> av.VideoFrame:
    """Patches of a planar frame, one below the other, as a frame to convert at once."""
    height, width = size
    strip = av.VideoFrame(width, len(corners) * height, frame.format.name)
    strip.colorspace, strip.color_range = frame.colorspace, frame.color_range
    strip.color_primaries, strip.color_trc = frame.color_primaries, frame.color_trc
    for source, target in zip(frame.planes, strip.planes, strict=True):
        down, across = frame.height // source.height, frame.width // source.width
        window = height // down, width // across
        top, left = corners[:, 0] // down, corners[:, 1] // across
        parts = _lines(target, target.height, target.width).reshape(-1, *window)
        parts[:] = windows(_lines(source, source.height, source.width), window)[top, left]
    return strip


def _convert(frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    # One thread: for one picture, starting more costs more than they save. A converter of its own:
    # it must not be shared between threads, and frames are read wherever their consumer likes.
    return VideoReformatter().reformat(
        frame,
        format=pixel_format,
        src_color_range=frame.color_range,
        interpolation=Interpolation.BICUBIC,  # as other programs do; for subsampled chroma
        threads=1,
    )


def _upright_motion(
    coded: NDArray[np.void], orientation: Orientation, height: int, width: int
) -> MotionVectors:
    centre = np.stack([coded["dst_x"], coded["dst_y"]], axis=1).astype(np.int32)
    half = np.stack([coded["w"], coded["h"]], axis=1).astype(np.int32) // 2
    limit = np.array([width, height], np.int32)
    first, last = np.clip(centre - half, 0, limit), np.clip(centre + half, 0, limit)
    # Coded pictures are larger than the shown one: some blocks lie beyond it.
    kept = (coded["source"] < 0) & (first < last).all(axis=1)
    corners = [orientation.turn_points(corner[kept], height, width) for corner in (first, last)]
    boxes = np.hstack([np.minimum(*corners), np.maximum(*corners)])
    back = np.stack([coded["motion_x"], coded["motion_y"]], axis=1)[kept].astype(np.float32)
    shifts = -back / np.maximum(coded["motion_scale"], 1)[kept, None].astype(np.float32)
    return MotionVectors(boxes, orientation.turn_points(shifts, 0, 0))
