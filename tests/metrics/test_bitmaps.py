"""Boundaries and dilations of packed masks equal those of arrays."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from partprop.metrics.bitmaps import Grid
from slow_boundary import slow_boundary

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))


def pixels(grid: Grid, packed: int) -> np.ndarray:
    bits = packed >> np.arange(grid.height * grid.stride).astype(object) & 1
    return bits.reshape(grid.height, grid.stride)[:, : grid.width].astype(bool)


@given(MASKS, st.integers(0, 9))
def test_packing_keeps_the_pixels_and_sets_no_other_bit(mask: np.ndarray, margin: int) -> None:
    grid = Grid(*mask.shape, margin=margin)
    packed = grid.pack(mask)
    np.testing.assert_array_equal(pixels(grid, packed), mask)
    assert packed.bit_count() == mask.sum()


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        ((2, 2), {(1, 1), (1, 2), (2, 1), (2, 2)}),
        ((0, 0), {(0, 0)}),
        ((0, 4), {(0, 3), (0, 4)}),
        ((4, 0), {(3, 0), (4, 0)}),
        ((4, 4), {(3, 3), (3, 4), (4, 3)}),  # the official code never marks the last corner
    ],
)
def test_boundary_of_single_pixels(pixel: tuple[int, int], expected: set[tuple[int, int]]) -> None:
    mask = np.zeros((5, 5), dtype=bool)
    mask[pixel] = True
    grid = Grid(5, 5, margin=1)
    assert {(int(y), int(x)) for y, x in np.argwhere(pixels(grid, grid.boundary(grid.pack(mask))))} == expected


@given(MASKS, st.integers(1, 9))
def test_boundary_equals_the_definition(mask: np.ndarray, margin: int) -> None:
    grid = Grid(*mask.shape, margin=margin)
    assert grid.boundary(grid.pack(mask)) == grid.pack(slow_boundary(mask))


@given(MASKS, st.integers(1, 40))
@example(np.arange(27).reshape(9, 3) == 0, 9)
def test_dilation_equals_a_threshold_on_distances(mask: np.ndarray, radius: int) -> None:
    grid = Grid(*mask.shape, margin=radius)
    if mask.any():
        expected = ndimage.distance_transform_edt(~mask) <= radius
    else:
        expected = np.zeros_like(mask)
    np.testing.assert_array_equal(pixels(grid, grid.dilate(grid.pack(mask), radius)), expected)
