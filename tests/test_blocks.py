from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamdyn import BlockGrid, BlockMask
from streamdyn.fit import Fit

sizes = st.tuples(st.integers(1, 30), st.integers(1, 30))


@st.composite
def grids(draw):
    """Grids of inputs on which the picture is stretched, padded or cut."""
    mode = draw(st.sampled_from(["stretch", "letterbox", "crop"]))
    zoom = draw(st.sampled_from([1.0, 1.3]))
    return Fit.make(mode, draw(sizes), draw(sizes), zoom).grid(draw(st.integers(1, 20)))


@st.composite
def masks(draw, grid=None):
    grid = grid or draw(grids())
    seed, density = draw(st.integers(0, 99)), draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
    return BlockMask(grid, np.random.default_rng(seed).random(grid.shape) < density)


def block_under(grid, axis, pixel, pixels):
    """The block under the centre of a pixel along one axis, None if it is not on the input."""
    centre = grid.extent[axis] + Fraction(2 * pixel + 1, 2 * pixels) * grid.extent[axis + 2]
    inside = 0 <= centre < (grid.height, grid.width)[axis]
    return int(centre // grid.block) if inside else None


@given(masks(), sizes)
def test_pixels_equal_the_block_under_each(mask, size):
    expected = np.zeros(size, bool)
    for y, x in np.ndindex(size):
        row, col = (block_under(mask.grid, axis, p, size[axis]) for axis, p in enumerate((y, x)))
        expected[y, x] = row is not None and col is not None and mask.active[row, col]
    np.testing.assert_array_equal(mask.pixels(*size), expected)


@given(grids(), sizes, st.integers(0, 99), st.sampled_from([np.uint8, np.float32, np.bool_]))
def test_mean_equals_the_plain_mean(grid, size, seed, dtype):
    values = (np.random.default_rng(seed).random(size) * 255).astype(dtype)
    means = grid.mean(values)
    sums, counts = np.zeros(grid.shape), np.zeros(grid.shape)
    for y, x in np.ndindex(size):
        row, col = (block_under(grid, axis, p, size[axis]) for axis, p in enumerate((y, x)))
        if row is not None and col is not None:
            sums[row, col] += values[y, x]
            counts[row, col] += 1
    if (counts > 0).all():
        np.testing.assert_allclose(means, sums / counts, rtol=1e-4)


@given(grids(), sizes, st.integers(0, 99), st.sampled_from([np.uint8, np.float32, np.bool_]))
def test_largest_equals_the_plain_maximum(grid, size, seed, dtype):
    values = (np.random.default_rng(seed).random(size) * 255).astype(dtype)
    expected = np.zeros(grid.shape)
    counts = np.zeros(grid.shape)
    for y, x in np.ndindex(size):
        row, col = (block_under(grid, axis, p, size[axis]) for axis, p in enumerate((y, x)))
        if row is not None and col is not None:
            expected[row, col] = max(expected[row, col], values[y, x])
            counts[row, col] += 1
    if (counts > 0).all():
        np.testing.assert_array_equal(grid.largest(values), expected)


def test_means_hold_where_running_sums_overflow():
    grid = BlockGrid(96, 96, 32)
    white = np.full((6000, 6000), 255, np.uint8)  # their sum is more than 32 bits hold
    np.testing.assert_array_equal(grid.mean(white), np.full((3, 3), 255))


def test_means_of_a_plane_whose_lines_are_padded():
    grid = BlockGrid(64, 64, 32)
    plane = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
    np.testing.assert_array_equal(grid.mean(plane[:, :64]), grid.mean(plane[:, :64].copy()))


@given(grids(), sizes, st.integers(1, 5))
def test_no_block_that_shows_the_picture_is_forgotten(grid, size, cells):
    """However small the picture, a change all over it reaches every block but pure padding."""
    full = np.full(size, 7, np.uint8)
    top, left, height, width = grid.extent
    bottom, right = top + height, left + width
    peak, mean = grid.peak(full, cells), grid.mean(full)
    for row, col in np.ndindex(grid.shape):
        y, x = row * grid.block, col * grid.block
        shows = y < bottom and y + grid.block > top and x < right and x + grid.block > left
        assert peak[row, col] == mean[row, col] == (7 if shows else 0)


def test_peak_finds_what_the_mean_dilutes():
    grid = BlockGrid(64, 64, 32)
    change = np.zeros((128, 128), np.uint8)
    change[:16, :16] = 160  # one of the 16 cells of the first block
    assert grid.peak(change)[0, 0] == 160
    assert grid.mean(change)[0, 0] == 10
    assert grid.peak(change).sum() == 160


@given(masks(), st.integers(0, 5))
def test_grow_equals_the_plain_dilation(mask, blocks):
    expected = np.zeros(mask.grid.shape, bool)
    for row, col in zip(*np.nonzero(mask.active), strict=True):
        top, left = max(row - blocks, 0), max(col - blocks, 0)
        expected[top : row + blocks + 1, left : col + blocks + 1] = True
    np.testing.assert_array_equal(mask.grow(blocks).active, expected)


@given(grids().flatmap(lambda grid: st.tuples(masks(grid), masks(grid))))
def test_and_or(pair):
    a, b = pair
    np.testing.assert_array_equal((a & b).active, a.active & b.active)
    np.testing.assert_array_equal((a | b).active, a.active | b.active)
    assert bool(a) == a.active.any()
    assert a.density == pytest.approx(a.active.mean())


def test_all_and_none():
    grid = BlockGrid(65, 96, 32)
    assert grid.shape == (3, 3)
    assert grid.all().density == 1
    assert grid.none().density == 0
    assert not grid.none()


def test_masks_of_different_grids_do_not_combine():
    with pytest.raises(ValueError, match="different grids"):
        BlockGrid(64, 64, 32).all() & BlockGrid(64, 64, 16).all()


@pytest.mark.parametrize("active", [np.ones((2, 3), bool), np.ones((2, 2), np.uint8)])
def test_a_mask_fits_its_grid(active):
    with pytest.raises(ValueError, match=r"bool \(2, 2\)"):
        BlockMask(BlockGrid(64, 64, 32), active)


@pytest.mark.parametrize("picture", [(64, 0, 8, 8), (0, -8, 8, 8), (0, 0, 0, 8)])
def test_a_picture_touches_its_input(picture):
    with pytest.raises(ValueError, match="does not touch"):
        BlockGrid(64, 64, 32, picture)


def test_sizes_are_positive():
    with pytest.raises(ValueError, match="positive"):
        BlockGrid(0, 64, 32)
    with pytest.raises(ValueError, match="pixels"):
        BlockGrid(64, 64, 32).mean(np.zeros((0, 4), np.uint8))
    with pytest.raises(ValueError, match=r"\(h, w\)"):
        BlockGrid(64, 64, 32).mean(np.zeros((4, 4, 3), np.uint8))
