"""Patches of frames: exactly what the whole picture shows there, and made without it."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import Frame
from streamdyn.sources.orientation import Orientation
from streamdyn.sources.pixels import ArrayPixels, DecodedPixels

FAST = ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p"]  # of even size: see `patches`
FORMATS = [*FAST, "nv12", "yuv444p", "yuv420p10le", "yuva420p", "rgb24", "gbrp", "gray"]
TURNS = [Orientation(mirrored, turns) for mirrored in (False, True) for turns in range(4)]


def decoded(pixel_format: str, height: int, width: int, seed: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    random = np.random.default_rng(seed)
    for plane in frame.planes:
        samples = random.integers(0, 256, plane.buffer_size, np.uint8)
        if "10le" in pixel_format:
            samples[1::2] &= 3
        plane.update(samples)
    return frame


def frame_of(coded: av.VideoFrame, orientation: Orientation) -> Frame:
    size = orientation.size(coded.height, coded.width)
    return Frame(DecodedPixels(coded, orientation), index=0, pts_seconds=0, size=size, stream="")


@given(
    pixel_format=st.sampled_from(FORMATS),
    orientation=st.sampled_from(TURNS),
    sides=st.tuples(st.integers(4, 70), st.integers(4, 70)),
    colours=st.sampled_from([(1, 1), (5, 2), (9, 1), (2, 0)]),  # colour matrix and range
    count=st.integers(0, 5),
    even=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_patches_are_what_the_image_shows(
    pixel_format, orientation, sides, colours, count, even, seed, data
):
    step = 2 if even else 1
    coded = decoded(pixel_format, *(side // step * step for side in sides), seed)
    coded.colorspace, coded.color_range = colours
    frame = frame_of(coded, orientation)
    size = tuple(data.draw(st.integers(1, n // step)) * step for n in frame.size)
    room = [(n - side) // step for n, side in zip(frame.size, size, strict=True)]
    random = np.random.default_rng(seed)
    corners = np.stack([random.integers(0, r + 1, count) * step for r in room], axis=1)
    found = frame.patches(corners, size)
    assert found.shape == (count, *size, 3)
    assert found.dtype == np.uint8
    assert "image" not in vars(frame) or not (even and pixel_format in FAST and count)
    for part, (top, left) in zip(found, corners, strict=True):
        shown = frame.image[top : top + size[0], left : left + size[1]]
        np.testing.assert_array_equal(part, shown)
    np.testing.assert_array_equal(frame.patches(corners, size), found)  # now cut from the image


@pytest.mark.parametrize("name", ["bottle-detection.mp4", "rotated-90.mov"])
def test_patches_of_a_decoded_video_leave_the_rest_alone(media, name):
    from streamdyn import open_source

    one, other = (next(iter(open_source(media / name, max_frames=1))) for _ in range(2))
    corners = np.array([[0, 0], [64, 32], [one.size[0] - 32, one.size[1] - 32]])
    for part, (top, left) in zip(one.patches(corners, (32, 32)), corners, strict=True):
        np.testing.assert_array_equal(part, other.image[top : top + 32, left : left + 32])
    assert "image" not in vars(one)


@pytest.mark.parametrize("order", ["rgb", "bgr", "gray"])
def test_patches_of_arrays(order):
    array = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    pixels = ArrayPixels(array[..., 0] if order == "gray" else array, order)
    frame = Frame(pixels, index=0, pts_seconds=0, size=(20, 30), stream="")
    corners = np.array([[0, 0], [13, 21], [7, 8]])
    found = frame.patches(corners, (7, 9))
    assert ("image" in vars(frame)) == (order == "gray")
    for part, (top, left) in zip(found, corners, strict=True):
        np.testing.assert_array_equal(part, frame.image[top : top + 7, left : left + 9])


def test_patches_of_an_image_are_copies():
    image = np.zeros((8, 8, 3), np.uint8)
    found = Frame.from_image(image, index=0, pts_seconds=0).patches(np.array([[0, 0]]), (4, 4))
    found[:] = 9
    assert not image.any()
