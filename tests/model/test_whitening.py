import numpy as np
import pytest
import torch

from partprop.model.whitening import LEAST_VARIANCE, Moments, half_whitening


def correlated(channels: int, cells: int) -> torch.Tensor:
    """Features (2, channels, cells / 2, 1) that are neither centred nor independent."""
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(channels, channels, generator=generator)
    features = mixing @ torch.randn(channels, cells, generator=generator) + torch.arange(channels)[:, None]
    return features.unflatten(1, (2, -1)).transpose(0, 1)[..., None]


def gathered(*batches: torch.Tensor) -> Moments:
    moments = Moments(batches[0].shape[1])
    for batch in batches:
        moments.add(batch)
    return moments


def test_moments_are_those_of_all_batches_together() -> None:
    features = correlated(4, 600)
    moments = gathered(features[:, :, :100], features[:, :, 100:])
    cells = features[..., 0].transpose(0, 1).flatten(1).double().numpy()
    np.testing.assert_allclose(moments.mean, cells.mean(1), rtol=1e-5)
    np.testing.assert_allclose(moments.covariance, np.cov(cells, bias=True), rtol=1e-6)


def test_components_are_independent_and_half_as_uneven() -> None:
    moments = gathered(correlated(6, 2000))
    weight = half_whitening(moments, 4).double()
    strongest = np.sort(np.linalg.eigvalsh(moments.covariance.numpy()))[::-1][:4]
    expected = np.diag(strongest**0.5) / (strongest**0.5).sum()
    np.testing.assert_allclose(weight @ moments.covariance @ weight.T, expected, rtol=1e-4, atol=1e-5)


def test_noise_is_not_raised() -> None:
    features = correlated(3, 900)
    features[:, 2] = 1e-6 * features[:, 0]
    weight = half_whitening(gathered(features), 3)
    strongest, weakest = weight[0].norm(), weight[2].norm()
    assert float(weakest / strongest) == pytest.approx(LEAST_VARIANCE**-0.25, rel=1e-3)


def test_fewer_channels_than_components_leave_zeros() -> None:
    weight = half_whitening(gathered(correlated(3, 900)), 5)
    assert weight.shape == (5, 3)
    assert not weight[3:].any()
