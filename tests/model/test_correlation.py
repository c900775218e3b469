"""Pixel correlation on cases with a known answer."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from partprop.model.correlation import PixelCorrelation
from partprop.model.evidence import Evidence
from partprop.model.features import FineFrame
from partprop.model.local_correlation import LocalCorrelation
from partprop.model.windows import whole_window
from tiny import fixed_keys, frame_with, learned_keys, unit


@pytest.mark.parametrize(("training", "reach"), [(False, 2), (True, 3)])
def test_the_fine_read_out_keeps_certain_cells_of_the_coarse_one(training: bool, reach: int):
    correlation = fixed_keys([8, 8, 8], 8, 16, 4, fine_radius=2, training_fine_radius=3).train(training)
    keys, previous, coarse = unit(1, 16, 16, 24, seed=7), torch.rand(1, 1, 16, 24), torch.zeros(1, 1, 8, 12)
    coarse[..., 8:] = 1
    torch.testing.assert_close(
        correlation.read_fine(keys, [FineFrame(keys, previous)], (0, 0), coarse), F.interpolate(coarse, scale_factor=2)
    )
    coarse[0, 0, 5, 5] = 0.5  # in the block of rows 8 to 15 and columns 8 to 15
    read_again = correlation.read_fine(keys, [FineFrame(keys, previous)], (0, 0), coarse)
    temperature = correlation.log_temperature[1].exp().detach()
    expected = LocalCorrelation(keys, keys, (0, 0), reach, temperature).attend(previous)[..., 8:, 8:16]
    torch.testing.assert_close(read_again[..., 8:, 8:16], expected)
    assert set(read_again[..., :8, :].unique().tolist()) == {0.0, 1.0}


def test_pixel_correlation_shapes_and_gradients():
    correlation = learned_keys([6, 12, 20], 16, 32, 4)
    p3 = torch.randn(2, 16, 5, 6, requires_grad=True)
    levels = [torch.randn(2, 6, 10, 12), torch.randn(2, 12, 5, 6), torch.randn(2, 20, 3, 3)]
    p2 = torch.randn(2, 16, 10, 12)
    fine_keys, keys = correlation.keys(levels, torch.nn.Identity(), p2)
    torch.testing.assert_close(fine_keys.norm(dim=1), torch.ones(2, 10, 12))
    torch.testing.assert_close(keys.norm(dim=1), torch.ones(2, 5, 6))
    frame, window = frame_with(keys, correlation.project_p3(p3)), whole_window((5, 6))
    memory = correlation.memorise(frame, torch.rand(2, 1, 5, 6), window)
    values = correlation.encode_value(frame.p3_projection, torch.rand(2, 1, 5, 6))
    globally, locally = correlation.read(keys, memory, keys, values, (0, 0), 3)
    assert globally.values.shape == locally.values.shape == (2, 4, 5, 6)
    weights = correlation.filter.fit(keys, torch.rand(2, 1, 5, 6))
    evidence = Evidence(globally, locally, correlation.filter.find(keys, window, weights, globally))
    assert evidence.matches.shape == (2, 9, 5, 6)
    previous, coarse = torch.rand(2, 1, 10, 12), torch.rand(2, 1, 3, 2)
    fine = correlation.read_fine(fine_keys[:, :, 2:8, 4:8], [FineFrame(fine_keys, previous)], (2, 4), coarse)
    assert fine.shape == (2, 1, 6, 4)
    trust = correlation.trust(evidence.lead, torch.ones(2))
    prior = correlation.prior(evidence.masks, torch.rand(2, 1, 10, 12), trust, torch.ones(2))
    assert prior.shape == (2, 1, 10, 12)
    (evidence.values.sum() + evidence.matches.sum() + prior.sum()).backward()
    assert p3.grad is not None
    assert p3.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in correlation.parameters())


def test_values_are_encoded_from_frame_and_mask_together():
    correlation = fixed_keys([6, 12, 20], 16, 32, 4)
    p3, mask = torch.randn(2, 16, 5, 6), torch.rand(2, 1, 5, 6)
    known = correlation.encode_value(correlation.project_p3(p3), mask)
    torch.testing.assert_close(known[:, :-1], correlation.value(torch.cat([p3, mask], 1)))
    assert torch.equal(known[:, -1:], mask)


def test_learned_keys_use_the_finest_level():
    correlation, finest = learned_keys([6, 12, 20], 16, 32, 4), torch.nn.Conv2d(16, 16, 3, padding=1)
    torch.nn.init.normal_(correlation.learnt.weight)
    levels = [torch.randn(2, 6, 10, 12), torch.randn(2, 12, 5, 6), torch.randn(2, 20, 3, 3)]
    p2 = torch.randn(2, 16, 10, 12)
    for ours, expected in zip(
        correlation.keys(levels, finest, p2), correlation.keys(levels, torch.nn.Identity(), finest(p2)), strict=True
    ):
        torch.testing.assert_close(ours, expected)


def test_a_window_is_read_as_in_the_whole_frame():
    correlation = fixed_keys([8, 8, 8], 8, 16, 4).eval()
    generator = torch.Generator().manual_seed(4)
    p3, keys = (torch.randn(1, channels, 10, 12, generator=generator) for channels in (8, 16))
    keys, mask = F.normalize(keys, dim=1), torch.rand(1, 1, 10, 12)
    frame = frame_with(keys, correlation.project_p3(p3))
    memory = correlation.memorise(frame, mask, whole_window((10, 12)))
    values = correlation.encode_value(frame.p3_projection, mask)
    whole = correlation.read(keys, memory, keys, values, (0, 0), 2)
    near = (slice(None), slice(None), slice(1, 9), slice(2, 11))
    window = correlation.read(keys[:, :, 3:7, 4:9], memory, keys[near], values[near], (2, 2), 2)
    for ours, expected in zip(window, whole, strict=True):
        for part, expected_part in zip(ours, expected, strict=True):
            torch.testing.assert_close(part, expected_part[:, :, 3:7, 4:9])


def test_the_local_read_out_depends_on_its_radius():
    correlation = fixed_keys([8, 8, 8], 8, 16, 4).eval()
    p3, keys, mask = torch.randn(1, 8, 10, 12), unit(1, 16, 10, 12), torch.rand(1, 1, 10, 12)
    frame = frame_with(keys, correlation.project_p3(p3))
    memory = correlation.memorise(frame, mask, whole_window((10, 12)))
    values = correlation.encode_value(frame.p3_projection, mask)
    far, near = (correlation.read(keys, memory, keys, values, (0, 0), radius) for radius in (4, 2))
    assert torch.equal(far[0].mask, near[0].mask)
    assert not torch.allclose(far[1].mask, near[1].mask)


@given(st.data(), st.sampled_from([0.3, 1.0]))
@settings(max_examples=25, deadline=None)
def test_a_window_is_memorised_as_in_the_whole_frame(data: st.DataObject, most: float):
    torch.manual_seed(6)
    correlation = fixed_keys([8, 8, 8], 8, 16, 4).eval()
    p3, keys, mask = torch.randn(1, 8, 10, 12), torch.randn(1, 16, 10, 12), most * torch.rand(1, 1, 10, 12)
    starts = [data.draw(st.integers(0, size - 1)) for size in (10, 12)]
    rows, columns = (
        slice(start, data.draw(st.integers(start + 1, size))) for start, size in zip(starts, (10, 12), strict=True)
    )
    window = (rows, columns)
    frame = frame_with(keys, correlation.project_p3(p3))
    inside = torch.zeros(10, 12, dtype=torch.bool)
    inside[window] = True
    some = correlation.memorise(frame, mask, window)
    expected = correlation.memorise(frame, mask, whole_window((10, 12))).select(inside.flatten())
    for name in ("keys", "values", "mask", "is_object"):
        torch.testing.assert_close(getattr(some, name), getattr(expected, name))


@pytest.mark.parametrize("build", [fixed_keys, learned_keys])
def test_before_training_keys_match_as_the_backbone_does(build: Callable[..., PixelCorrelation]):
    correlation = build([6, 10, 16], 16, 32, 4)
    generator = torch.Generator().manual_seed(5)
    levels = [torch.randn(1, channels, 4, 5, generator=generator) for channels in (6, 10, 16)]
    keys = correlation.keys(levels, torch.nn.Identity(), torch.zeros(1, 16, 4, 5))[0].flatten(2)
    backbone = torch.cat([F.normalize(level, dim=1) for level in levels], 1).flatten(2) / 3**0.5
    torch.testing.assert_close(keys.transpose(1, 2) @ keys, backbone.transpose(1, 2) @ backbone)


def prior_of(trust: Tensor, remembered: float) -> tuple[Tensor, Tensor]:
    """Weights (4,) of the masks in a prior with uniform trust (1, 1, 4, 4), and the learned weights."""
    correlation = fixed_keys([8, 8, 8], 8, 16, 4)
    weights = []
    for number in range(4):  # one mask is informative, the others are undecided
        masks, fine = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 1, 8, 8), 0.5)
        (masks[:, number] if number < 3 else fine).fill_(torch.tensor(1.0).sigmoid())
        prior = correlation.prior(masks, fine, trust, torch.tensor([remembered]))
        torch.testing.assert_close(prior, prior[:, :, :1, :1].expand(1, 1, 8, 8))
        weights.append(prior[0, 0, 0, 0])
    return torch.stack(weights).detach(), correlation.prior_weights.detach()


def test_a_trusted_reference_has_its_learned_weight():
    found, learnt = prior_of(torch.ones(1, 1, 4, 4), remembered=1.0)
    torch.testing.assert_close(found, learnt)


def test_without_a_previous_mask_the_reference_has_all_the_weight():
    unlike = fixed_keys([8, 8, 8], 8, 16, 4).trust(torch.full((1, 1, 4, 4), -1.0), torch.zeros(1))
    found, learnt = prior_of(unlike, remembered=0.0)
    torch.testing.assert_close(found, torch.cat([learnt[:2] + learnt[2:].mean(), torch.zeros(2)]))


def test_weight_that_a_distrusted_reference_loses_goes_to_the_previous_frame():
    found, learnt = prior_of(torch.full((1, 1, 4, 4), 0.25), remembered=1.0)
    torch.testing.assert_close(found, torch.cat([0.25 * learnt[:2], learnt[2:] + 0.75 * learnt[:2].mean()]))


def test_a_pixel_unlike_the_reference_trusts_the_previous_frame():
    lead = torch.tensor([-0.3, -0.05, 0.2])[None, None, None]
    trust = fixed_keys([8, 8, 8], 8, 16, 4).trust(lead, torch.ones(1)).detach().flatten()
    assert trust[0] < 0.01
    assert trust[1] == pytest.approx(0.5)
    assert trust[2] > 0.99
