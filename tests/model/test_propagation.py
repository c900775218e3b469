"""Decoding and joining parts, merging objects."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partprop.model.boxes import roi_align
from partprop.model.propagation import MATCHES, MaskDecoder, PartInputs, Reduction, join_parts, soft_aggregate

ONE = torch.ones(1)


def test_decoder_shapes_and_gradients():
    decoder, parts, size = MaskDecoder(16, 4, 16, 16), 3, 16
    guidance = decoder.guide(torch.randn(parts, 16, size, size), torch.rand(parts, 1, size, size))
    finest = torch.nn.Conv2d(16, 16, 3, padding=1)
    detail, features, context = decoder.reduce_frame(
        finest,
        torch.randn(parts, 16, 2 * size, 2 * size),
        torch.randn(parts, 16, size, size),
        torch.randn(parts, 16, size // 2, size // 2),
    )
    inputs = PartInputs(
        image=torch.randn(parts, 3, 2 * size, 2 * size),
        detail=detail,
        body=features,
        context=context,
        values=decoder.reduce_evidence_values(torch.randn(parts, 8, size, size)),
        matches=torch.rand(parts, MATCHES, size, size),
        prior=torch.randn(parts, 1, 2 * size, 2 * size),
        previous=torch.rand(parts, 1, 2 * size, 2 * size),
        guidance=guidance,
    )
    logits, corrections, presence = decoder(inputs)
    torch.testing.assert_close(logits, inputs.prior + corrections)
    assert corrections.shape == (parts, 1, 2 * size, 2 * size)
    assert presence.shape == (parts,)
    (corrections.mean() + presence.mean()).backward()
    assert all(parameter.grad is not None for part in (decoder, finest) for parameter in part.parameters())


def test_reducing_after_a_convolution_is_both():
    layer, conv, features = Reduction(6, 8), torch.nn.Conv2d(5, 6, 3, padding=1), torch.randn(2, 5, 20, 30)
    torch.testing.assert_close(layer.after(conv, features), layer.reduce(conv(features)))


def test_reducing_commutes_with_roi_align():
    layer, features = Reduction(6, 8), torch.randn(1, 6, 20, 30)
    boxes = torch.tensor([[[3.0, 5, 90, 71], [-20, -8, 40, 300]]])  # one reaches beyond the frame, where all is zero
    before = roi_align(layer.reduce(features), boxes, 7, 8)[0]
    after = layer.reduce(roi_align(features, boxes, 7, 8)[0])
    torch.testing.assert_close(before, after)
    torch.testing.assert_close(layer.normalise(after), layer(roi_align(features, boxes, 7, 8)[0]))


def test_outside_all_parts_is_background():
    joined = join_parts(torch.full((32, 40), 9.0), torch.zeros(1, 1, 8, 8), torch.tensor([[8.0, 8, 24, 24]]), ONE)
    assert joined.shape == (32, 40)
    assert joined[9:23, 9:23].min() > 0.99
    assert joined[:6].max() == 0
    assert joined[:, 26:].max() == 0


def test_without_corrections_the_prior_remains():
    prior = torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0.0, 0, 32, 32], [4, 8, 20, 24]])
    joined = join_parts(prior, torch.zeros(2, 1, 8, 8), boxes, torch.tensor([0.9, 0.4]))
    torch.testing.assert_close(joined, prior.sigmoid())


def test_finer_cells_prevail():
    corrections = torch.stack([torch.full((1, 8, 8), 9.0), torch.full((1, 8, 8), -9.0)])
    boxes = torch.tensor([[0.0, 0, 64, 64], [16, 16, 48, 48]])
    joined = join_parts(torch.zeros(64, 64), corrections, boxes, torch.ones(2))
    assert joined[32, 32] < 0.1
    assert joined[8, 8] > 0.99


def test_the_reliable_part_prevails():
    corrections = torch.stack([torch.full((1, 8, 8), 9.0), torch.full((1, 8, 8), -9.0)])
    boxes = torch.tensor([[0.0, 0, 32, 32]]).expand(2, 4)
    assert join_parts(torch.zeros(32, 32), corrections, boxes, torch.tensor([0.9, 0.1]))[16, 16] > 0.85
    assert join_parts(torch.zeros(32, 32), corrections, boxes, torch.tensor([0.1, 0.9]))[16, 16] < 0.15


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_aggregation_is_a_distribution_that_keeps_the_order(values):
    merged = soft_aggregate(torch.tensor(values, dtype=torch.float64)[:, None, None])[:, 0, 0]
    torch.testing.assert_close(merged.sum(), torch.tensor(1.0, dtype=torch.float64))
    for first in range(len(values)):
        for second in range(len(values)):
            if values[first] > values[second]:
                assert merged[1 + first] >= merged[1 + second]


@given(st.floats(0.01, 0.99))
def test_aggregation_squares_the_odds_of_a_single_object(value):
    merged = soft_aggregate(torch.tensor([[[value]]], dtype=torch.float64))[:, 0, 0]
    torch.testing.assert_close(float(merged[1] / merged[0]), (value / (1 - value)) ** 2)


def test_aggregation_of_two_objects_in_fractions():
    """By hand: the background is 1/4 · 1/2 = 1/8; odds are 1/7, 3 and 1, which add up to 29/7."""
    merged = soft_aggregate(torch.tensor([0.75, 0.5], dtype=torch.float64)[:, None, None])[:, 0, 0]
    torch.testing.assert_close(merged, torch.tensor([1, 21, 7], dtype=torch.float64) / 29)
