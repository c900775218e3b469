"""Baselines without a network on known motions."""

import cv2
import numpy as np
import pytest

from partprop.baselines.simple import first_mask, flow, warp_labels
from partprop.metrics.davis import jaccard


@pytest.fixture
def texture() -> np.ndarray:
    """Smooth noise, uint8 (160, 240, 3), with detail at the scale of the flow's patches."""
    noise = np.random.default_rng(3).normal(size=(160, 240, 3)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture
def labels() -> np.ndarray:
    """Two touching objects, uint8 (160, 240)."""
    labels = np.zeros((160, 240), dtype=np.uint8)
    labels[40:100, 60:100] = 1
    labels[40:100, 100:150] = 3
    return labels


def test_first_mask_is_repeated(texture: np.ndarray, labels: np.ndarray) -> None:
    predictions = list(first_mask([texture] * 3, labels))
    assert len(predictions) == 3
    for prediction in predictions:
        np.testing.assert_array_equal(prediction, labels)


def test_flow_follows_a_translated_texture(texture: np.ndarray, labels: np.ndarray) -> None:
    shifts = [(2 * step, 3 * step) for step in range(6)]
    frames = (np.roll(texture, shift, (0, 1)) for shift in shifts)
    predictions = list(flow(frames, labels))
    assert len(predictions) == 6
    expected = np.roll(labels, shifts[-1], (0, 1))
    for number in (1, 3):
        assert jaccard(predictions[-1] == number, expected == number) > 0.95
        assert jaccard(predictions[-1] == number, labels == number) < 0.7


def test_warping_by_whole_pixels_is_a_shift(labels: np.ndarray) -> None:
    displacement = np.empty((*labels.shape, 2), dtype=np.float32)
    displacement[...] = (5, -7)
    np.testing.assert_array_equal(warp_labels(labels, displacement), np.roll(labels, (7, -5), (0, 1)))


def test_warping_by_part_of_a_pixel_never_blends_ids(labels: np.ndarray) -> None:
    displacement = np.full((*labels.shape, 2), 0.4, dtype=np.float32)
    assert set(np.unique(warp_labels(labels, displacement))) == {0, 1, 3}


def test_border_labels_extend_beyond_the_frame() -> None:
    labels = np.zeros((8, 8), dtype=np.uint8)
    labels[:, 6:] = 2
    displacement = np.zeros((8, 8, 2), dtype=np.float32)
    displacement[..., 0] = 4
    assert (warp_labels(labels, displacement)[:, 2:] == 2).all()
