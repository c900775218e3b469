"""J, F and their statistics on cases computed by hand, and against a slow implementation of the definitions."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from partprop.metrics.davis import boundary_f, jaccard, statistics
from slow_boundary import slow_boundary


@st.composite
def mask_groups(draw: st.DrawFn, count: int) -> list[np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    return [draw(arrays.arrays(bool, shape)) for _ in range(count)]


def slow_f(prediction: np.ndarray, truth: np.ndarray, radius: float) -> float:
    """F with matches by the Euclidean distance to the nearest boundary pixel of the other mask."""
    predicted, true = slow_boundary(prediction), slow_boundary(truth)
    if not predicted.any() or not true.any():
        return float(predicted.any() == true.any())
    precision = (ndimage.distance_transform_edt(~true)[predicted] <= radius).mean()
    recall = (ndimage.distance_transform_edt(~predicted)[true] <= radius).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def square(x: int, y: int, side: int, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[y : y + side, x : x + side] = True
    return mask


def ellipse(shape: tuple[int, int], centre: tuple[int, int], axes: tuple[int, int], angle: float) -> np.ndarray:
    return cv2.ellipse(np.zeros(shape, np.uint8), centre, axes, angle, 0, 360, 1, -1).astype(bool)


def test_jaccard_of_shifted_squares() -> None:
    assert jaccard(square(10, 10, 10), square(15, 10, 10)) == pytest.approx(50 / 150)
    assert jaccard(square(10, 10, 10), square(20, 10, 10)) == 0


def test_boundary_of_shifted_squares_matches_within_the_tolerance() -> None:
    truth = square(20, 20, 20)
    assert boundary_f(square(22, 20, 20), truth, radius=2) == 1
    assert boundary_f(square(50, 20, 20), truth, radius=2) == 0
    # The outline of a square of side n, half a pixel towards the origin, has 4 n pixels. Shifted by 3 pixels, the
    # vertical sides keep a match only within one pixel of the horizontal sides.
    shifted, radius = square(23, 20, 20), 1
    assert boundary_f(shifted, truth, radius=radius) == pytest.approx(slow_f(shifted, truth, radius))
    assert 0.4 < boundary_f(shifted, truth, radius=radius) < 0.7


def test_tolerance_is_a_share_of_the_diagonal_rounded_up() -> None:
    # 480 x 854: 0.008 * 979.65 = 7.84, so 8 pixels.
    truth = square(200, 200, 100, (480, 854))
    assert boundary_f(square(208, 200, 100, (480, 854)), truth) == 1
    assert boundary_f(square(209, 200, 100, (480, 854)), truth) < 1


def test_empty_and_full_masks() -> None:
    empty, full, some = np.zeros((20, 30), bool), np.ones((20, 30), bool), square(5, 5, 8, (20, 30))
    assert (jaccard(empty, empty), boundary_f(empty, empty)) == (1, 1)
    assert (jaccard(full, full), boundary_f(full, full)) == (1, 1)
    assert (jaccard(empty, some), boundary_f(empty, some)) == (0, 0)
    assert (jaccard(some, empty), boundary_f(some, empty)) == (0, 0)
    # A full frame has no boundary, like the empty mask.
    assert (jaccard(empty, full), boundary_f(empty, full)) == (0, 1)


def test_void_pixels_are_removed_from_both_masks() -> None:
    truth, prediction = square(10, 10, 10), square(10, 10, 20)
    void = prediction & ~truth
    assert jaccard(prediction, truth, void) == 1
    assert boundary_f(prediction, truth, void) == 1
    assert jaccard(prediction, truth, np.ones_like(void)) == 1


@given(mask_groups(2), st.integers(1, 6))
def test_boundary_f_equals_the_definition(masks: list[np.ndarray], radius: int) -> None:
    assert boundary_f(*masks, radius=radius) == pytest.approx(slow_f(*masks, radius), abs=1e-12)


@pytest.mark.parametrize("angle", [0, 25, 80])
def test_boundary_f_of_large_shapes_equals_the_definition(angle: float) -> None:
    shape = (240, 427)
    truth, prediction = ellipse(shape, (400, 60), (90, 40), angle), ellipse(shape, (396, 70), (80, 50), angle + 10)
    expected = slow_f(prediction, truth, math.ceil(0.008 * math.hypot(*shape)))
    assert 0 < expected < 1
    assert boundary_f(prediction, truth) == pytest.approx(expected, abs=1e-12)


@given(mask_groups(3))
def test_both_measures_are_symmetric_and_in_range(masks: list[np.ndarray]) -> None:
    for measure in (jaccard, boundary_f):
        value = measure(masks[0], masks[1], masks[2])
        assert 0 <= value <= 1
        assert value == pytest.approx(measure(masks[1], masks[0], masks[2]), abs=1e-12)


@given(mask_groups(2))
def test_identical_masks_score_one(masks: list[np.ndarray]) -> None:
    mask, void = masks
    assert jaccard(mask, mask, void) == 1
    assert boundary_f(mask, mask, void) == 1


def test_statistics_of_eight_frames() -> None:
    # Limits of the quarters: round(1, 2.75, 4.5 + 1e-10, 6.25, 8) - 1 = 0, 2, 4, 5, 7, both ends included.
    result = statistics(np.array([1.0, 0.9, 0.8, 0.5, 0.7, 0.4, 0.3, 0.2]))
    assert result.mean == pytest.approx(0.6)
    assert result.recall == pytest.approx(4 / 8)  # 0.5 itself is not above
    assert result.decay == pytest.approx(0.9 - 0.3)


def test_statistics_ignore_nan() -> None:
    result = statistics(np.array([np.nan, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4]))
    assert result.mean == pytest.approx(4 / 7)
    assert result.recall == pytest.approx(3 / 8)
    assert result.decay == pytest.approx(0.4)


def test_decay_of_one_frame_and_of_a_long_video() -> None:
    assert statistics(np.array([0.7])).decay == 0
    long = np.repeat([1.0, 0.5, 0.5, 0.0], 100)
    assert statistics(long).decay == pytest.approx(1, abs=0.02)
