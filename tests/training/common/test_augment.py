"""Geometric and colour augmentation, on cases with a known answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from partprop.training.common import augment


def noise(height: int = 60, width: int = 60) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_the_identity_changes_nothing():
    sampling_map = augment.affine_map(augment.affine_matrix((29.5, 29.5), 60, 1.0), 60)
    np.testing.assert_array_equal(augment.warp(noise(), sampling_map), noise())


def test_flip_and_quarter_turn_match_numpy():
    flipped = augment.affine_map(augment.affine_matrix((29.5, 29.5), 60, 1.0, flip=True), 60)
    np.testing.assert_array_equal(augment.warp(noise(), flipped), noise()[:, ::-1])
    turned = augment.affine_map(augment.affine_matrix((29.5, 29.5), 60, 1.0, angle=90), 60)
    view = augment.warp(noise(), turned).astype(int)
    assert any(np.abs(view - np.rot90(noise(), turns)).max() <= 1 for turns in (1, 3))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 2.5), st.floats(-180, 180), st.floats(20, 40), st.floats(20, 40))
def test_the_given_centre_is_mapped_to_the_middle(zoom: float, angle: float, x: float, y: float):
    matrix = augment.affine_matrix((x, y), 64, zoom, angle)
    middle = matrix @ [31.5, 31.5, 1]
    np.testing.assert_allclose(middle, [x, y])
    assert abs(np.linalg.det(matrix[:, :2])) == pytest.approx(1 / zoom**2)


def test_images_are_grey_and_masks_empty_beyond_the_border():
    sampling_map = augment.affine_map(augment.affine_matrix((-500.0, -500.0), 16, 1.0), 16)
    assert (augment.warp(noise(), sampling_map) == 127).all()
    assert augment.warp_mask(np.ones((60, 60), np.uint8), sampling_map).sum() == 0


def test_spline_interpolation_matches_scipy():
    size, points = 65, 4
    ours = augment.thin_plate_spline(np.random.default_rng(3), size, 0.05, points)
    shifts = np.random.default_rng(3).normal(0, 0.05 * size, (points * points, 2))
    line = np.linspace(0, size - 1, points)
    control = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    theirs = RBFInterpolator(control, shifts, kernel="thin_plate_spline")
    inner = np.arange(4, size - 4, 4)
    places = np.stack(np.meshgrid(inner, inner), -1).reshape(-1, 2).astype(float)
    found = ours[places[:, 1].astype(int), places[:, 0].astype(int)]
    assert np.abs(found - theirs(places)).max() < 0.03 * np.abs(shifts).max()


def test_zero_strength_changes_nothing():
    np.testing.assert_allclose(augment.thin_plate_spline(np.random.default_rng(0), 32, 0.0), 0, atol=1e-6)
    matrix = augment.sample_colour_matrix(np.random.default_rng(0), 0.0)
    np.testing.assert_allclose(matrix, np.column_stack([np.eye(3), np.zeros(3)]), atol=1e-9)
    np.testing.assert_array_equal(augment.apply_colour_matrix(noise(), matrix), noise())


@given(seed=st.integers(0, 99))
def test_strong_colour_matrices_keep_grey_neutral_up_to_the_tint(seed):
    matrix = augment.sample_strong_colour_matrix(np.random.default_rng(seed))
    shares = matrix[:, :3].sum(1)  # the values of a grey pixel, before the shift
    assert np.abs(shares / shares.mean() - 1).max() < 0.25  # the tint's ±10 % in either direction
    assert (shares > 0.6).all()


def test_hues_turn_and_one_in_ten_is_grey():
    matrices = [augment.sample_strong_colour_matrix(np.random.default_rng(seed)) for seed in range(60)]
    turned = [matrix[:, :3] @ [1.0, 0.0, 0.0] for matrix in matrices]
    assert {int(np.argmax(red)) for red in turned} == {0, 1, 2}
    assert sum(np.ptp(red) < 0.1 for red in turned) >= 2  # grey


def test_blur_keeps_a_flat_image():
    flat = np.full((40, 40, 3), 90, np.uint8)
    np.testing.assert_array_equal(augment.motion_blur(np.random.default_rng(0), flat), flat)
