"""What training does to the previous mask: now and then the true one, with errors such as pile up in a long video."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class MaskErrors(NamedTuple):
    """What is done to the masks of B videos, in this order; in training clips (B, T, …) for T frames.

    drift: (B, 2, g, g), at the places of a coarse grid, by how much x, y a contour is shifted, as shares of the
    picture's sides; smooth in between. spread: (B,), by how much the mask grows or, below zero, shrinks, as a share of
    the picture's width. paint: (B, 1, p, p), 1 where there is object afterwards, -1 where there is none, 0 where the
    mask stays.
    """

    drift: Tensor
    spread: Tensor
    paint: Tensor

    def at(self, time: int) -> "MaskErrors":
        """Those of one of T frames."""
        return MaskErrors(*(part[:, time] for part in self))


class Lesson(NamedTuple):
    """Of B clips with T frames.

    masks: (B, T, 1, H, W), the true ones. told: (B, T), 1 where the true mask of the frame before is given instead of
    what was found there. errors: of the mask before each frame, either way.
    """

    masks: Tensor
    told: Tensor
    errors: MaskErrors

    def prepare(self, found: Tensor, time: int) -> Tensor:
        """The mask (B, 1, h, w) from which frame `time` starts, of that found in the frame before."""
        truth = F.interpolate(self.masks[:, time - 1], size=found.shape[2:], mode="area")
        told = self.told[:, time, None, None, None]
        return disturb(told * truth + (1 - told) * found, self.errors.at(time))


def disturb(mask: Tensor, errors: MaskErrors) -> Tensor:
    """A mask (B, 1, h, w) in [0, 1] with errors, much as MaskTrack trains (Perazzi et al., CVPR 2017, section 3.2)."""
    height, width = mask.shape[2:]
    drift = F.interpolate(errors.drift, size=(height, width), mode="bicubic", align_corners=False)
    straight = F.affine_grid(torch.eye(2, 3).to(mask).expand(len(mask), 2, 3), list(mask.shape), align_corners=False)
    moved = F.grid_sample(mask, straight - 2 * drift.permute(0, 2, 3, 1), align_corners=False)  # sides are 2 long there
    cells = (errors.spread * width).round().long().tolist()
    grown = torch.stack([_grow(each, count) for each, count in zip(moved, cells, strict=True)])
    painted = F.interpolate(errors.paint, size=(height, width), mode="nearest")
    return torch.where(painted == 0, grown, (painted > 0).to(mask.dtype))


def _grow(mask: Tensor, cells: int) -> Tensor:
    sign = 1 if cells >= 0 else -1
    return sign * F.max_pool2d(sign * mask, 2 * abs(cells) + 1, 1, abs(cells))
