"""Label propagation on features with known matches, and the fast local similarity against a plain one."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from partprop.baselines.label_propagation import BackboneFeatures, label_propagation, local_similarity, rescale
from partprop.metrics.davis import jaccard

CELL = 8


def random_features(height: int, width: int, channels: int = 32) -> Tensor:
    features = torch.randn(channels, height, width, generator=torch.Generator().manual_seed(5))
    return functional.normalize(features, dim=0)


def cell_labels() -> np.ndarray:
    """Two objects with edges on cell borders, uint8 (96, 128)."""
    labels = np.zeros((12, 16), dtype=np.uint8)
    labels[3:9, 3:7] = 1
    labels[3:9, 7:12] = 4
    return labels.repeat(CELL, axis=0).repeat(CELL, axis=1)


def plain_similarity(query: Tensor, key: Tensor, radius: int) -> Tensor:
    """Reference for `local_similarity`, one pair of cells at a time."""
    _, height, width = query.shape
    side = 2 * radius + 1
    result = torch.full((height, width, side, side), -torch.inf)
    for y in range(height):
        for x in range(width):
            for row in range(max(0, y - radius), min(height, y + radius + 1)):
                for column in range(max(0, x - radius), min(width, x + radius + 1)):
                    similarity = query[:, y, x] @ key[:, row, column]
                    result[y, x, row - y + radius, column - x + radius] = similarity
    return result.view(height * width, side * side)


@pytest.mark.parametrize(("height", "width", "radius"), [(7, 18, 2), (3, 4, 5), (5, 16, 1), (1, 1, 1)])
def test_similarity_equals_the_plain_one(height: int, width: int, radius: int) -> None:
    query, key = random_features(height, 2 * width).split(width, dim=2)
    torch.testing.assert_close(local_similarity(query, key, radius), plain_similarity(query, key, radius))


def test_identical_frames_keep_the_labels() -> None:
    labels, features = cell_labels(), random_features(12, 16)
    frames = [np.zeros((96, 128, 3), dtype=np.uint8)] * 6
    predictions = list(label_propagation(frames, labels, lambda frame: features, 2, 3, 5, 0.07))
    assert len(predictions) == 6
    np.testing.assert_array_equal(predictions[0], labels)
    for number in (0, 1, 4):  # bilinear upsampling rounds the corners
        assert jaccard(predictions[-1] == number, labels == number) > 0.97


def test_labels_follow_moving_features() -> None:
    labels, features = cell_labels(), random_features(12, 16)
    moved = iter([features.roll((step, -step), dims=(1, 2)) for step in range(3)])
    frames = [np.zeros((96, 128, 3), dtype=np.uint8)] * 3
    *_, last = label_propagation(frames, labels, lambda frame: next(moved), 1, 2, 5, 0.07)
    expected = np.roll(labels, (2 * CELL, -2 * CELL), (0, 1))
    for number in (1, 4):
        assert jaccard(last == number, expected == number) > 0.97


def test_the_radius_limits_the_shift() -> None:
    labels, features = cell_labels(), random_features(12, 16)
    moved = iter([features, features.roll(5, dims=2)])
    frames = [np.zeros((96, 128, 3), dtype=np.uint8)] * 2
    *_, last = label_propagation(frames, labels, lambda frame: next(moved), 1, 2, 1, 0.07)
    expected = np.roll(labels, 5 * CELL, 1)
    assert jaccard(last == 4, expected == 4) < 0.5


@pytest.mark.parametrize(
    ("short_side", "cells"),
    [(480, (12, 17)), (48, (6, 8))],  # 96 x 134 as it is, rounded to whole cells; shrunk to 48 x 67
)
def test_features_have_unit_length_at_stride_8(short_side: int, cells: tuple[int, int]) -> None:
    class Pyramid(nn.Module):
        def forward(self, images: Tensor) -> list[Tensor]:
            return [functional.avg_pool2d(images, stride) + 2 for stride in (4, 8, 16, 32)]

    frame = np.random.default_rng(1).integers(0, 256, size=(96, 134, 3), dtype=np.uint8)
    features = BackboneFeatures(Pyramid(), short_side)(frame)
    assert features.shape == (9, *cells)  # of strides 4, 8 and 16
    torch.testing.assert_close(features.norm(dim=0), torch.ones(cells))


def test_rescaling_lets_a_faint_object_win_where_it_is_strongest() -> None:
    background = torch.tensor([[0.9, 0.6, 1.0]])
    votes = torch.stack([background, 1 - background, torch.zeros(1, 3)])
    assert rescale(votes).argmax(dim=0).tolist() == [[0, 1, 0]]
    torch.testing.assert_close(rescale(votes)[1], torch.tensor([[0.25, 1, 0]]))
    torch.testing.assert_close(rescale(votes)[2], torch.zeros(1, 3))
