"""Mask losses against values computed by hand."""

import math

import pytest
import torch

from partprop.training.tracker.losses import HARD_SHARE, correlation_loss, dice_loss, hard_cross_entropy

LOG2 = math.log(2)  # cross-entropy of a logit of 0


def test_only_the_hardest_pixels_count():
    """Ten pixels: four with logit 0, six right with certainty."""
    assert HARD_SHARE == 0.4
    logits = torch.tensor([0.0] * 4 + [40.0] * 6).reshape(1, 1, 1, 2, 5)
    truth = torch.ones(1, 1, 1, 2, 5)
    assert hard_cross_entropy(logits, truth).item() == pytest.approx(LOG2)
    logits[..., 0, 0] = -3.0
    worst = math.log1p(math.exp(3.0))
    assert hard_cross_entropy(logits, truth).item() == pytest.approx((worst + 3 * LOG2) / 4, rel=1e-5)


def test_hard_pixels_are_chosen_for_each_part():
    """One part is right with certainty, the other has logit 0 everywhere: the mean is half of the latter's loss."""
    logits = torch.stack([torch.full((1, 2, 5), 40.0), torch.zeros(1, 2, 5)])[None]
    assert hard_cross_entropy(logits, torch.ones_like(logits)).item() == pytest.approx(LOG2 / 2)


def test_dice_loss_of_half_an_overlap():
    """Eight true and eight predicted pixels, four in common: 2 * 4 / 16, with 1 added to both terms for empty masks."""
    truth, predicted = torch.zeros(2, 1, 1, 1, 4, 4)
    truth[..., :2, :], predicted[..., 1:3, :] = 1, 1
    assert dice_loss(predicted, truth, torch.ones(1, 1)).item() == pytest.approx(1 - 9 / 17)


def test_absent_parts_have_no_dice_loss():
    truth, predicted = torch.zeros(2, 1, 2, 1, 4, 4)
    truth[:, 0], predicted[:, 0], predicted[:, 1] = 1, 1, 0.7
    present = torch.tensor([[1.0, 0.0]])
    assert dice_loss(predicted, truth, present).item() == pytest.approx(0)
    assert dice_loss(predicted, truth, torch.ones(1, 2)).item() > 0.3
    assert dice_loss(predicted, truth, torch.zeros(1, 2)).item() == 0


def test_correlation_masks_are_compared_at_their_own_resolution():
    """Three of four pixels in each cell are object: the loss is smallest at 0.75, the entropy of 0.75."""
    truth = torch.tensor([[1.0, 1], [1, 0]]).repeat(2, 2)[None, None]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    predicted = torch.full((1, 3, 2, 2), 0.75)
    assert correlation_loss(predicted, truth).item() == pytest.approx(entropy)
    predicted[:, 1] = 0.5
    assert correlation_loss(predicted, truth).item() == pytest.approx((2 * entropy + LOG2) / 3)
