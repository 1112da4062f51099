import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.fit import Fit

sizes = st.tuples(st.integers(1, 2000), st.integers(1, 2000))
modes = st.sampled_from(["stretch", "letterbox", "crop"])


def test_modes():
    wide, square = (100, 200), (50, 50)
    assert Fit.make("stretch", wide, square).picture == (0, 0, 50, 50)
    assert Fit.make("letterbox", wide, square).picture == (12, 0, 25, 50)
    assert Fit.make("crop", wide, square).picture == (0, -25, 50, 100)
    assert Fit.make("crop", wide, square, zoom=2).picture == (-25, -75, 100, 200)
    assert Fit.make("pad", wide, (128, 256)).picture == (0, 0, 100, 200)


def test_a_large_picture_cannot_be_padded():
    with pytest.raises(ValueError, match="letterbox instead"):
        Fit.make("pad", (100, 200), (100, 199))


@given(modes, sizes, sizes)
def test_the_picture_fills_or_fits_the_input(mode, source, size):
    fit = Fit.make(mode, source, size)
    top, left, height, width = fit.picture
    inside = top >= 0 and left >= 0 and top + height <= size[0] and left + width <= size[1]
    covers = top <= 0 and left <= 0 and top + height >= size[0] and left + width >= size[1]
    assert inside if mode == "letterbox" else covers
    assert height == size[0] or width == size[1]
    assert fit.grid(32).extent == fit.picture


@given(modes, sizes, sizes)
def test_visible_lies_on_the_input_and_the_picture(mode, source, size):
    fit = Fit.make(mode, source, size)
    top, left, height, width = fit.visible
    assert min(height, width) >= 1
    for start, length, begin, extent, limit in zip(
        (top, left), (height, width), fit.picture[:2], fit.picture[2:], size, strict=True
    ):
        assert start == max(begin, 0)
        assert start + length == min(begin + extent, limit)


@given(modes, sizes, sizes, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_boxes_go_there_and_back(mode, source, size, corners):
    fit = Fit.make(mode, source, size)
    height, width = source
    xs, ys = sorted(corners[:2]), sorted(corners[2:])
    box = np.array([[xs[0] * width, ys[0] * height, xs[1] * width, ys[1] * height]], np.float32)
    top, left, picture_height, picture_width = fit.picture
    scale = np.array([picture_width / width, picture_height / height] * 2)
    on_input = (box * scale + [left, top, left, top]).astype(np.float32)
    back = fit.boxes_to_source(on_input)
    tolerance = 1e-4 * max(*source, *fit.picture) / min(*fit.picture[2:], *source) * max(source)
    np.testing.assert_allclose(back, box, atol=max(tolerance, 1e-3))


def test_boxes_are_clipped_to_the_source():
    fit = Fit.make("stretch", (100, 200), (50, 50))
    boxes = np.array([[-5, -5, 60, 25]], np.float32)
    np.testing.assert_array_equal(fit.boxes_to_source(boxes), [[0, 0, 200, 50]])
