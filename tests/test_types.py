import cv2
import numpy as np
import pytest

from streamdyn import BlockGrid, BlockMask, Frame, StreamState
from streamdyn.testing import frames, results


def test_a_frame_of_an_image():
    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 2] = [255, 0, 0]
    frame = Frame.from_image(image, index=3, pts_seconds=0.12, stream="door")
    assert frame.size == (4, 6)
    assert np.shares_memory(frame.image, image)
    assert frame.luma[1, 2] == 76  # the weight of red in BT.601
    assert frame.motion is None
    assert repr(frame) == "Frame('door', 3, 0.120 s, 4x6)"


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 6), np.uint8),
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6, 3), np.float32),
        np.zeros((0, 6, 3), np.uint8),
    ],
)
def test_what_is_not_an_image_is_refused(image):
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8, got"):
        Frame.from_image(image, index=0, pts_seconds=0)


def test_pixels_of_an_image_cannot_be_written_but_by_its_owner():
    image = np.zeros((4, 6, 3), np.uint8)
    frame = Frame.from_image(image, index=0, pts_seconds=0)
    for pixels in (frame.image, frame.luma):
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0] = 1
    image[0, 0] = 7
    assert (frame.image[0, 0] == 7).all()


def test_a_state_cannot_be_written_but_advances():
    size, grid = (96, 160), BlockGrid(96, 160, 32)
    first, second = frames(2, size)
    state = StreamState.start(grid, first, results(size)[0])
    reference, age = state.reference, state.age
    for values in (reference, age):
        with pytest.raises(ValueError, match="read-only"):
            values[:] = 0
    with pytest.raises(AttributeError):
        state.reference = first.luma
    assert cv2.absdiff(first.luma, reference).max() == 0  # OpenCV reads what it must not write
    state.advance(second, grid.none(), state.result)
    np.testing.assert_array_equal(state.age, np.full(grid.shape, 2))
    np.testing.assert_array_equal(state.reference, first.luma)
    assert state.share == 1.0  # of the last result, which was not computed again
    some = BlockMask(grid, np.arange(15).reshape(3, 5) == 7)
    state.advance(second, some, state.result, share=0.1, seconds=0.02)
    assert (state.share, state.seconds) == (0.1, 0.02)
    expected = np.where(some.active, second.pts_seconds, first.pts_seconds)
    np.testing.assert_array_equal(state.computed_at, expected)
    state.advance(second, grid.all(), state.result)
    np.testing.assert_array_equal(age, np.ones(grid.shape))
    np.testing.assert_array_equal(reference, second.luma)
