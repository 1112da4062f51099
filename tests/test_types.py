import numpy as np
import pytest

from streamdyn import Frame


def test_a_frame_of_an_image():
    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 2] = [255, 0, 0]
    frame = Frame.from_image(image, index=3, pts_seconds=0.12, stream="door")
    assert frame.size == (4, 6)
    assert frame.image is image
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
