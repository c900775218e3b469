"""The correlation filter: against NumPy's least squares, gradients against finite differences, cases that are known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from partprop.model.correlation_filter import CorrelationFilter


def frame(seed: int, channels: int = 3, shape: tuple[int, int] = (6, 7)) -> tuple[Tensor, Tensor]:
    """Keys (1, C, h, w) and a soft mask (1, 1, h, w), in double precision."""
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(1, channels, *shape, generator=generator, dtype=torch.float64)
    return F.normalize(keys, dim=1), torch.rand(1, 1, *shape, generator=generator, dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_the_fit_is_weighted_ridge_regression(seed: int):
    """Every cell twice, as object and as ground; the penalty as further rows of the least-squares system."""
    keys, mask = frame(seed)
    padded = np.pad(keys[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    around = sum(padded[:, row : row + 6, column : column + 7] for row in range(3) for column in range(3)) / 9
    inputs = np.concatenate([keys[0].numpy(), around, np.ones((1, 6, 7))]).reshape(7, -1).T
    share = mask.numpy().ravel()
    weights = np.concatenate([share / share.sum() / 2, (1 - share) / (1 - share).sum() / 2])
    rows, truth = np.tile(inputs, (2, 1)), np.repeat([1.0, -1.0], len(share))

    filter_ = CorrelationFilter().double()
    penalty = float(filter_.log_ridge.detach().exp()) * (weights @ rows**2).mean()
    system = np.concatenate([rows * np.sqrt(weights)[:, None], np.sqrt(penalty) * np.eye(7)])
    expected = np.linalg.lstsq(system, np.concatenate([truth * np.sqrt(weights), np.zeros(7)]), rcond=None)[0]
    np.testing.assert_allclose(filter_.fit(keys, mask)[0].detach().numpy(), expected, rtol=1e-6, atol=1e-9)


def test_gradients_of_the_fit_are_those_of_finite_differences():
    keys, mask = frame(1)
    filter_ = CorrelationFilter().double()
    assert torch.autograd.gradcheck(
        lambda keys, mask: filter_.fit(keys, mask), (keys.requires_grad_(), mask.requires_grad_())
    )


def test_the_ridge_learns_by_the_exact_gradient():
    keys, mask = frame(6)
    filter_ = CorrelationFilter().double()

    def fitted(log_ridge: Tensor) -> Tensor:
        return torch.func.functional_call(filter_, {"log_ridge": log_ridge}, (keys, mask))

    filter_.forward = filter_.fit  # type: ignore[method-assign]
    assert torch.autograd.gradcheck(fitted, torch.tensor(-3.0, dtype=torch.float64, requires_grad=True))


def test_each_video_of_a_batch_has_its_own_filter():
    frames = [frame(seed) for seed in (2, 3)]
    keys, masks = (torch.cat(parts) for parts in zip(*frames, strict=True))
    filter_ = CorrelationFilter().double()
    together = filter_(keys, filter_.fit(keys, masks))
    for index, (key, mask) in enumerate(frames):
        torch.testing.assert_close(together[index : index + 1], filter_(key, filter_.fit(key, mask)))


def test_it_finds_the_object_in_another_place_however_small():
    generator = torch.Generator().manual_seed(4)
    looks = F.normalize(torch.randn(2, 16, generator=generator), dim=1)
    masks = torch.zeros(2, 1, 12, 12)
    masks[0, 0, 1:4, 1:4] = masks[1, 0, 7:10, 6:9] = 1
    keys = looks[0, :, None, None] * masks + looks[1, :, None, None] * (1 - masks)
    keys = F.normalize(keys + 0.05 * torch.randn(keys.shape, generator=generator), dim=1)
    filter_ = CorrelationFilter()
    found = filter_(keys[1:], filter_.fit(keys[:1], masks[:1]))
    assert ((found > 0.5) == (masks[1:] > 0.5)).float().mean() > 0.97
    assert found[masks[1:] > 0.5].min() > 0.5


def test_a_frame_of_one_colour_is_solvable_however_small_the_ridge_became():
    keys = F.normalize(torch.ones(1, 128, 24, 32), dim=1)
    mask = torch.zeros(1, 1, 24, 32)
    mask[..., 4:9, 5:11] = 1
    filter_ = CorrelationFilter()
    filter_.log_ridge.data.fill_(-20)
    assert filter_.fit(keys, mask).isfinite().all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_frame_of_object_or_ground_alone_fits_a_finite_filter(value: float):
    keys, mask = frame(5)
    weights = CorrelationFilter().double().fit(keys, torch.full_like(mask, value))
    assert weights.isfinite().all()
