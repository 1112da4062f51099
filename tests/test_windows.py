import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.windows import patches, windows


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    data=st.data(),
)
def test_windows_are_the_parts_of_every_map(shape, data):
    maps = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)[..., ::-1]
    size = height, width = tuple(data.draw(st.integers(1, n)) for n in shape[1:])
    found = windows(maps, size)
    assert found.shape == (shape[0], shape[1] - height + 1, shape[2] - width + 1, height, width)
    for top, left in np.ndindex(found.shape[1:3]):
        expected = maps[:, top : top + height, left : left + width]
        np.testing.assert_array_equal(found[:, top, left], expected)


def test_windows_write_to_the_map_if_it_can_be_written():
    map_ = np.zeros((4, 5), np.uint8)
    windows(map_, (2, 2))[[0, 2], [1, 3]] = 7
    assert np.argwhere(map_).tolist() == [
        [0, 1], [0, 2], [1, 1], [1, 2], [2, 3], [2, 4], [3, 3], [3, 4]
    ]  # fmt: skip
    map_.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        windows(map_, (2, 2))[0, 0] = 1


def test_patches_of_an_image_that_does_not_lie_in_one_piece():
    image = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)
    corners = np.array([[0, 0], [5, 6], [3, 1]])
    for view in (image, image[:, ::-1], np.rot90(image)[:8, :8]):
        found = patches(view, corners[:, ::1] % 5, (3, 4))
        for part, (top, left) in zip(found, corners % 5, strict=True):
            np.testing.assert_array_equal(part, view[top : top + 3, left : left + 4])
