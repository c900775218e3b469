"""The matching losses equal their definitions, and rank keys by how well they match."""

import numpy as np
import pytest
import torch

from partprop.training.pyramid.matching import INVERSE_TEMPERATURE, balanced_cross_entropy, matching_losses
from tiny import unit

SIDE = 6


def square(top: int, left: int) -> torch.Tensor:
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, top : top + 3, left : left + 3] = 1
    return mask


@pytest.fixture
def masks() -> torch.Tensor:
    return torch.stack([square(1, 1), square(2, 3)], 1)


def shown_cells() -> torch.Tensor:
    shown = torch.ones(1, SIDE, SIDE)
    shown[:, :2] = 0
    return shown


def plain_losses(reference, later, masks, shown) -> tuple[float, float]:
    """Attention and match loss, cell by cell."""
    reference, later = (keys[0].flatten(1).T.double().numpy() for keys in (reference, later))
    before, after = (masks[0, view].flatten().numpy() for view in (0, 1))
    losses = {"attention": [], "match": []}
    for key, truth in zip(later, after, strict=True):
        scores = INVERSE_TEMPERATURE * reference @ key
        kept = (shown[0].flatten().numpy() > 0) | (before == 0)
        chances = np.exp(scores - scores.max()) * kept
        read = (chances * before).sum() / chances.sum()
        lead = scores[kept & (before > 0.5)].max() - scores[before <= 0.5].max()
        for name, chance in (("attention", np.clip(read, 1e-4, 1 - 1e-4)), ("match", 1 / (1 + np.exp(-lead)))):
            losses[name].append(-np.log(chance if truth else 1 - chance))
    on = after > 0

    def balanced(values: list[float]) -> float:
        each = np.array(values)
        return each.mean() / 2 + (each[on].mean() + each[~on].mean()) / 4

    return balanced(losses["attention"]), balanced(losses["match"])


def test_losses_equal_their_definition_cell_by_cell(masks: torch.Tensor):
    reference, later = unit(1, 8, SIDE, SIDE), unit(1, 8, SIDE, SIDE, seed=1)
    found = matching_losses(reference, later, (later, later), masks, shown_cells())
    attention, match = plain_losses(reference, later, masks, shown_cells())
    assert float(found["attention"]) == pytest.approx(attention, rel=1e-4)
    assert float(found["match"]) == pytest.approx(match, rel=1e-3)
    assert float(found["key_drift"]) == pytest.approx((1 - float((reference * later).sum(1).mean())) / 2, abs=1e-5)


def test_keys_that_separate_the_object_have_lower_losses(masks: torch.Tensor):
    apart = torch.stack([masks[:, :, :, :], 1 - masks], 2)  # one key for the object, one for the ground
    alike = unit(1, 2, SIDE, SIDE)
    shown = torch.ones(1, SIDE, SIDE)
    good = matching_losses(apart[:, 0], apart[:, 1], (apart[:, 0], apart[:, 1]), masks, shown)
    bad = matching_losses(alike, alike, (alike, alike), masks, shown)
    assert good["attention"] < 0.01
    assert good["match"] < 0.01 < bad["match"]
    assert good["key_drift"] == pytest.approx(0, abs=1e-6)


def test_a_hidden_side_is_matched_by_the_shown_one_and_not_by_background(masks: torch.Tensor):
    """Cells of the object that the reference hides are neither object nor background."""
    keys = torch.zeros(1, 3, SIDE, SIDE)
    keys[:, 0] = 1 - masks[:, 0]
    keys[0, 1, 1, 1:4] = 1  # the hidden row has a key of its own
    keys[0, 2, 2:4, 1:4] = 1
    everything = torch.ones(1, SIDE, SIDE)
    seen, hidden = (
        matching_losses(keys, keys, (keys, keys), masks[:, [0, 0]], shown) for shown in (everything, shown_cells())
    )
    assert hidden["attention"] > seen["attention"] + 0.05


def test_object_and_background_count_alike_in_half_of_the_cross_entropy():
    truth = torch.tensor([[1.0, 0, 0, 0]])
    logits = torch.tensor([[0.0, -50, -50, -50]])  # only the object is in doubt
    assert float(balanced_cross_entropy(logits, truth)) == pytest.approx(np.log(2) * (1 / 4 + 1) / 2 - np.log(2) / 4)


@pytest.mark.parametrize("share", [0.4, 1.0], ids=["thin", "hidden"])
def test_a_pair_without_a_shown_object_cell_has_no_match_loss(masks: torch.Tensor, share: float):
    """A thin object fills no cell by half; a half-plane may hide all cells of a small one."""
    keys = unit(1, 8, SIDE, SIDE)
    hidden = 1 - masks[:, 0] if share == 1 else torch.ones(1, SIDE, SIDE)
    losses = matching_losses(keys, keys, (keys, keys), share * masks, hidden)
    assert losses["match"] == 0
    assert torch.isfinite(losses["attention"])
    two = matching_losses(
        *(torch.cat([keys, keys]) for _ in range(2)),
        (torch.cat([keys, keys]),) * 2,
        torch.cat([masks, share * masks]),
        torch.cat([torch.ones(1, SIDE, SIDE), hidden]),
    )
    one = matching_losses(keys, keys, (keys, keys), masks, torch.ones(1, SIDE, SIDE))
    torch.testing.assert_close(two["match"], one["match"])
