"""The losses of masks against cases worked out by hand."""

import math

import pytest
import torch

from partprop.training.tracker.losses import HARD_SHARE, correlation_loss, dice_loss, hard_cross_entropy

LOG2 = math.log(2)  # what a pixel costs of which nothing is known


def test_the_hardest_pixels_alone_count():
    """Ten pixels, four of them on the verge and six right beyond doubt."""
    assert HARD_SHARE == 0.4
    logits = torch.tensor([0.0] * 4 + [40.0] * 6).reshape(1, 1, 1, 2, 5)
    truth = torch.ones(1, 1, 1, 2, 5)
    assert hard_cross_entropy(logits, truth).item() == pytest.approx(LOG2)
    logits[..., 0, 0] = -3.0
    worst = math.log1p(math.exp(3.0))
    assert hard_cross_entropy(logits, truth).item() == pytest.approx((worst + 3 * LOG2) / 4, rel=1e-5)


def test_each_part_has_hard_pixels_of_its_own():
    """One part is right beyond doubt, the other unknown everywhere: half the loss of the latter."""
    logits = torch.stack([torch.full((1, 2, 5), 40.0), torch.zeros(1, 2, 5)])[None]
    assert hard_cross_entropy(logits, torch.ones_like(logits)).item() == pytest.approx(LOG2 / 2)


def test_dice_of_half_an_overlap():
    """Eight true pixels, eight found, four in common: 2 * 4 / 16, one added to both for empty masks."""
    truth, found = torch.zeros(2, 1, 1, 1, 4, 4)
    truth[..., :2, :], found[..., 1:3, :] = 1, 1
    assert dice_loss(found, truth, torch.ones(1, 1)).item() == pytest.approx(1 - 9 / 17)


def test_parts_that_show_nothing_say_nothing_of_overlap():
    truth, found = torch.zeros(2, 1, 2, 1, 4, 4)
    truth[:, 0], found[:, 0], found[:, 1] = 1, 1, 0.7
    present = torch.tensor([[1.0, 0.0]])
    assert dice_loss(found, truth, present).item() == pytest.approx(0)
    assert dice_loss(found, truth, torch.ones(1, 2)).item() > 0.3
    assert dice_loss(found, truth, torch.zeros(1, 2)).item() == 0


def test_masks_that_correlation_finds_are_compared_at_their_own_resolution():
    """Of each block of four pixels three are object: the best answer is 0.75, with the entropy of that."""
    truth = torch.tensor([[1.0, 1], [1, 0]]).repeat(2, 2)[None, None]
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    found = torch.full((1, 3, 2, 2), 0.75)
    assert correlation_loss(found, truth).item() == pytest.approx(entropy)
    found[:, 1] = 0.5
    assert correlation_loss(found, truth).item() == pytest.approx((2 * entropy + LOG2) / 3)
