"""Correlation: against plain loops, and the cases whose answer is known."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from partprop.model.correlation import FineFrame, PixelCorrelation, depthwise_cross_correlation
from partprop.model.surroundings import Surroundings
from tiny import unit


def plain_cross_correlation(template: Tensor, search: Tensor) -> Tensor:
    """The definition, one place at a time."""
    count, channels, height, width = template.shape
    rows, columns = search.shape[2] - height + 1, search.shape[3] - width + 1
    response = torch.zeros(count, channels, rows, columns)
    for row in range(rows):
        for column in range(columns):
            window = search[:, :, row : row + height, column : column + width]
            response[:, :, row, column] = (window * template).mean((2, 3))
    return response


def test_cross_correlation_is_its_definition():
    generator = torch.Generator().manual_seed(0)
    template, search = torch.randn(3, 4, 3, 2, generator=generator), torch.randn(3, 4, 7, 6, generator=generator)
    torch.testing.assert_close(depthwise_cross_correlation(template, search), plain_cross_correlation(template, search))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (8, 8)])
def test_patch_correlates_most_with_itself(row: int, column: int):
    search = torch.randn(1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    search = F.normalize(search, dim=1)
    template = search[:, :, row : row + 8, column : column + 8]
    response = depthwise_cross_correlation(template, search).sum(1)[0]
    assert divmod(int(response.argmax()), response.shape[1]) == (row, column)


@pytest.mark.parametrize(("training", "reach"), [(False, 2), (True, 3)])
def test_the_fine_read_out_keeps_what_the_coarse_one_is_sure_of(training: bool, reach: int):
    correlation = PixelCorrelation([8, 8, 8], 8, 16, 4, fine_radius=2, training_fine_radius=3).train(training)
    keys, previous, coarse = unit(1, 16, 16, 24, seed=7), torch.rand(1, 1, 16, 24), torch.zeros(1, 1, 8, 12)
    coarse[..., 8:] = 1
    torch.testing.assert_close(
        correlation.read_fine(keys, [FineFrame(keys, previous)], (0, 0), coarse), F.interpolate(coarse, scale_factor=2)
    )
    coarse[0, 0, 5, 5] = 0.5  # in the block of rows 8 to 15 and columns 8 to 15
    read_again = correlation.read_fine(keys, [FineFrame(keys, previous)], (0, 0), coarse)
    temperature = correlation.log_temperature[1].exp().detach()
    expected = Surroundings(keys, keys, (0, 0), reach, temperature).attend(previous)[..., 8:, 8:16]
    torch.testing.assert_close(read_again[..., 8:, 8:16], expected)
    assert set(read_again[..., :8, :].unique().tolist()) == {0.0, 1.0}


def test_pixel_correlation_shapes_and_gradients():
    correlation = PixelCorrelation([6, 12, 20], 16, 32, 4, radius=3, fine_radius=2)
    p3 = torch.randn(2, 16, 5, 6, requires_grad=True)
    levels = [torch.randn(2, 6, 10, 12), torch.randn(2, 12, 5, 6), torch.randn(2, 20, 3, 3)]
    p2 = torch.randn(2, 16, 10, 12)
    fine_keys, keys = correlation.keys(levels, torch.nn.Identity(), p2)
    torch.testing.assert_close(fine_keys.norm(dim=1), torch.ones(2, 10, 12))
    torch.testing.assert_close(keys.norm(dim=1), torch.ones(2, 5, 6))
    memory = correlation.memorise(correlation.look(p3), keys, torch.rand(2, 1, 5, 6), (slice(0, 5), slice(0, 6)))
    evidence = correlation(keys, memory, keys, correlation.know(correlation.look(p3), torch.rand(2, 1, 5, 6)), (0, 0))
    assert evidence.shape == (2, correlation.read_channels, 5, 6)
    previous, coarse = torch.rand(2, 1, 10, 12), torch.rand(2, 1, 3, 2)
    fine = correlation.read_fine(fine_keys[:, :, 2:8, 4:8], [FineFrame(fine_keys, previous)], (2, 4), coarse)
    assert fine.shape == (2, 1, 6, 4)
    found = correlation.filter(keys, correlation.filter.fit(keys, torch.rand(2, 1, 5, 6)))
    masks, lead = torch.cat([evidence[:, 4:5], found, evidence[:, 12:13]], 1), evidence[:, 7:8] - evidence[:, 15:16]
    prior = correlation.prior(masks, torch.rand(2, 1, 10, 12), correlation.trust(lead, torch.ones(2)), torch.ones(2))
    assert prior.shape == (2, 1, 10, 12)
    (evidence.sum() + prior.sum()).backward()
    assert p3.grad is not None
    assert p3.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in correlation.parameters())


def test_values_are_those_of_frame_and_mask_together():
    correlation = PixelCorrelation([6, 12, 20], 16, 32, 4)
    p3, mask = torch.randn(2, 16, 5, 6), torch.rand(2, 1, 5, 6)
    known = correlation.know(correlation.look(p3), mask)
    torch.testing.assert_close(known[:, :-1], correlation.value(torch.cat([p3, mask], 1)))
    assert torch.equal(known[:, -1:], mask)


def test_learnt_keys_see_the_finest_level():
    correlation, finest = PixelCorrelation([6, 12, 20], 16, 32, 4), torch.nn.Conv2d(16, 16, 3, padding=1)
    torch.nn.init.normal_(correlation.learnt.weight)
    levels = [torch.randn(2, 6, 10, 12), torch.randn(2, 12, 5, 6), torch.randn(2, 20, 3, 3)]
    p2 = torch.randn(2, 16, 10, 12)
    for ours, expected in zip(
        correlation.keys(levels, finest, p2), correlation.keys(levels, torch.nn.Identity(), finest(p2)), strict=True
    ):
        torch.testing.assert_close(ours, expected)


def test_a_window_is_read_as_in_the_whole_frame():
    correlation = PixelCorrelation([8, 8, 8], 8, 16, 4, radius=2).eval()
    generator = torch.Generator().manual_seed(4)
    p3, keys = (torch.randn(1, channels, 10, 12, generator=generator) for channels in (8, 16))
    keys, mask = F.normalize(keys, dim=1), torch.rand(1, 1, 10, 12)
    look = correlation.look(p3)
    memory, known = correlation.memorise(look, keys, mask, (slice(0, 10), slice(0, 12))), correlation.know(look, mask)
    whole = correlation(keys, memory, keys, known, (0, 0))
    near = (slice(None), slice(None), slice(1, 9), slice(2, 11))
    window = correlation(keys[:, :, 3:7, 4:9], memory, keys[near], known[near], (2, 2))
    torch.testing.assert_close(window, whole[:, :, 3:7, 4:9])


def test_the_local_read_out_reaches_as_far_as_is_asked():
    correlation = PixelCorrelation([8, 8, 8], 8, 16, 4, radius=4).eval()
    p3, keys, mask = torch.randn(1, 8, 10, 12), F.normalize(torch.randn(1, 16, 10, 12), dim=1), torch.rand(1, 1, 10, 12)
    look = correlation.look(p3)
    memory, known = correlation.memorise(look, keys, mask, (slice(0, 10), slice(0, 12))), correlation.know(look, mask)
    far, near = (correlation(keys, memory, keys, known, (0, 0), radius) for radius in (None, 2))
    correlation.radius = 2
    torch.testing.assert_close(near, correlation(keys, memory, keys, known, (0, 0)))
    assert not torch.allclose(near, far)


@given(st.data(), st.sampled_from([0.3, 1.0]))
@settings(max_examples=25, deadline=None)
def test_a_window_is_remembered_as_in_the_whole_frame(data: st.DataObject, most: float):
    torch.manual_seed(6)
    correlation = PixelCorrelation([8, 8, 8], 8, 16, 4).eval()
    p3, keys, mask = torch.randn(1, 8, 10, 12), torch.randn(1, 16, 10, 12), most * torch.rand(1, 1, 10, 12)
    starts = [data.draw(st.integers(0, size - 1)) for size in (10, 12)]
    rows, columns = (
        slice(start, data.draw(st.integers(start + 1, size))) for start, size in zip(starts, (10, 12), strict=True)
    )
    window = (rows, columns)
    look = correlation.look(p3)
    inside = torch.zeros(10, 12, dtype=torch.bool)
    inside[window] = True
    some = correlation.memorise(look, keys, mask, window)
    expected = correlation.memorise(look, keys, mask, (slice(0, 10), slice(0, 12))).select(inside.flatten())
    for name in ("keys", "values", "mask", "is_object"):
        torch.testing.assert_close(getattr(some, name), getattr(expected, name))


@pytest.mark.parametrize("learnt", [True, False])
def test_before_training_keys_match_as_the_backbone_does(learnt: bool):
    correlation = PixelCorrelation([6, 10, 16], 16, 32, 4, learnt)
    generator = torch.Generator().manual_seed(5)
    levels = [torch.randn(1, channels, 4, 5, generator=generator) for channels in (6, 10, 16)]
    keys = correlation.keys(levels, torch.nn.Identity(), torch.zeros(1, 16, 4, 5))[0].flatten(2)
    backbone = torch.cat([F.normalize(level, dim=1) for level in levels], 1).flatten(2) / 3**0.5
    torch.testing.assert_close(keys.transpose(1, 2) @ keys, backbone.transpose(1, 2) @ backbone)


def prior_of(trust: Tensor, remembered: float) -> tuple[Tensor, Tensor]:
    """Weights (4,) of the masks in a prior, with a trust (1, 1, 4, 4) that is the same everywhere; and those learnt."""
    correlation = PixelCorrelation([8, 8, 8], 8, 16, 4)
    weights = []
    for number in range(4):  # one mask speaks, the others do not know
        masks, fine = torch.full((1, 3, 4, 4), 0.5), torch.full((1, 1, 8, 8), 0.5)
        (masks[:, number] if number < 3 else fine).fill_(torch.tensor(1.0).sigmoid())
        prior = correlation.prior(masks, fine, trust, torch.tensor([remembered]))
        torch.testing.assert_close(prior, prior[:, :, :1, :1].expand(1, 1, 8, 8))
        weights.append(prior[0, 0, 0, 0])
    return torch.stack(weights).detach(), correlation.prior_weights.detach()


def test_a_reference_that_is_trusted_speaks_with_its_weight():
    found, learnt = prior_of(torch.ones(1, 1, 4, 4), remembered=1.0)
    torch.testing.assert_close(found, learnt)


def test_without_a_previous_frame_the_reference_speaks_alone_however_unlike():
    unlike = PixelCorrelation([8, 8, 8], 8, 16, 4).trust(torch.full((1, 1, 4, 4), -1.0), torch.zeros(1))
    found, learnt = prior_of(unlike, remembered=0.0)
    torch.testing.assert_close(found, torch.cat([learnt[:2] + learnt[2:].mean(), torch.zeros(2)]))


def test_what_the_reference_is_not_trusted_with_goes_to_the_previous_frame():
    found, learnt = prior_of(torch.full((1, 1, 4, 4), 0.25), remembered=1.0)
    torch.testing.assert_close(found, torch.cat([0.25 * learnt[:2], learnt[2:] + 0.75 * learnt[:2].mean()]))


def test_a_pixel_unlike_the_reference_trusts_the_previous_frame():
    lead = torch.tensor([-0.3, -0.05, 0.2])[None, None, None]
    trust = PixelCorrelation([8, 8, 8], 8, 16, 4).trust(lead, torch.ones(1)).detach().flatten()
    assert trust[0] < 0.01
    assert trust[1] == pytest.approx(0.5)
    assert trust[2] > 0.99
