"""Whitening of features from their mean and covariance (Jégou and Chum, ECCV 2012)."""

import torch
from torch import Tensor

LEAST_VARIANCE = 1e-4  # of the greatest: weaker directions are noise and are not raised further


class Moments:
    """Mean and covariance of features, gathered batch by batch in double precision.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        self._count = 0
        self._sum = torch.zeros(channels, dtype=torch.float64)
        self._products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Take in the cells of a map (B, C, h, w)."""
        cells = features.detach().transpose(0, 1).flatten(1).to(self._sum)
        self._count += cells.shape[1]
        self._sum += cells.sum(1)
        self._products += cells @ cells.T

    @property
    def mean(self) -> Tensor:
        """(C,), single precision."""
        return (self._sum / self._count).float()

    @property
    def covariance(self) -> Tensor:
        """(C, C), double precision."""
        mean = self._sum / self._count
        return self._products / self._count - torch.outer(mean, mean)


def half_whitening(moments: Moments, components: int) -> Tensor:
    """The principal components (components, C), each divided by the fourth root of its variance, up to one scale.

    That is half of the way from features as they are to white ones, in which weak components, mostly noise, are as
    strong as the others. What it makes of centred features has a mean square length of 1.

    Args:
        components: how many of the strongest are kept; zeros beyond C.
    """
    variances, directions = torch.linalg.eigh(moments.covariance)
    variances, directions = variances.flip(0)[:components], directions.flip(1)[:, :components]
    gains = variances.clamp(min=LEAST_VARIANCE * float(variances[0])) ** -0.25
    gains = gains / (gains.square() * variances).sum().sqrt()
    rows = directions.new_zeros(components, len(directions))
    rows[: len(gains)] = (gains * directions).T
    return rows.float()
