"""Errors on the previous mask in training, like those that accumulate in a long video, and teacher forcing."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class MaskErrors(NamedTuple):
    """Errors of B masks, applied in this order; for training clips of T frames (B, T, …).

    Attributes:
        drift: (B, 2, g, g), x and y shift of the contour at the cells of a coarse grid, as fractions of the image's
            sides, interpolated smoothly in between.
        dilation: (B,), by how much the mask grows, or shrinks if negative, as a fraction of the image's width.
        patches: (B, 1, p, p), 1 where the mask is set, -1 where it is cleared, 0 where it stays.
    """

    drift: Tensor
    dilation: Tensor
    patches: Tensor

    def at_frame(self, time: int) -> "MaskErrors":
        """Return the errors of one of the T frames."""
        return MaskErrors(*(errors[:, time] for errors in self))


class ClipSupervision(NamedTuple):
    """The previous masks that B clips of T frames are trained with.

    Attributes:
        masks: (B, T, 1, H, W), the true masks.
        teacher_forced: (B, T), 1 where a frame starts from the true mask of the frame before it, 0 where it starts from
            the predicted one.
        errors: applied to either, (B, T, …).
    """

    masks: Tensor
    teacher_forced: Tensor
    errors: MaskErrors

    def previous_mask(self, predicted: Tensor, time: int) -> Tensor:
        """Return the mask (B, 1, h, w) that frame `time` starts from.

        Args:
            predicted: (B, 1, h, w) in [0, 1], for frame `time` - 1.
        """
        truth = F.interpolate(self.masks[:, time - 1], size=predicted.shape[2:], mode="area")
        forced = self.teacher_forced[:, time, None, None, None]
        return apply_errors(forced * truth + (1 - forced) * predicted, self.errors.at_frame(time))


def apply_errors(mask: Tensor, errors: MaskErrors) -> Tensor:
    """Return masks (B, 1, h, w) in [0, 1] with errors, like MaskTrack's (Perazzi et al., CVPR 2017, section 3.2)."""
    height, width = mask.shape[2:]
    drift = F.interpolate(errors.drift, size=(height, width), mode="bicubic", align_corners=False)
    identity = F.affine_grid(torch.eye(2, 3).to(mask).expand(len(mask), 2, 3), list(mask.shape), align_corners=False)
    # grid_sample's coordinates run from -1 to 1, so a side has length 2
    moved = F.grid_sample(mask, identity - 2 * drift.permute(0, 2, 3, 1), align_corners=False)
    cells = (errors.dilation * width).round().long().tolist()
    dilated = torch.stack([_dilate(each, count) for each, count in zip(moved, cells, strict=True)])
    patches = F.interpolate(errors.patches, size=(height, width), mode="nearest")
    return torch.where(patches == 0, dilated, (patches > 0).to(mask.dtype))


def _dilate(mask: Tensor, cells: int) -> Tensor:
    """Dilate a mask (1, h, w) by a number of cells, or erode it if negative."""
    sign = 1 if cells >= 0 else -1
    return sign * F.max_pool2d(sign * mask, 2 * abs(cells) + 1, 1, abs(cells))
