"""Mask propagation on parts: a U-shaped decoder of each part's mask, and joining parts and objects."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.boxes import paste


@dataclass(frozen=True)
class PartInputs:
    """What the decoder sees of N parts, RoI-aligned at S = roi_size.

    detail: (N, C, 2S, 2S) P2 of the current frame. features: (N, C, S, S) P3. context: (N, C, S/2, S/2) P4.
    evidence: (N, E, S, S) pixel-correlation read-outs. previous: (N, 1, 2S, 2S) the previous mask in the part's
    previous box, in [0, 1]. reference: (N, G, S, S) the part's guidance, as of `MaskDecoder.guide`.
    """

    detail: Tensor
    features: Tensor
    context: Tensor
    evidence: Tensor
    previous: Tensor
    reference: Tensor


class MaskDecoder(nn.Module):
    """The mask of the object inside a part's box, from what the part is now, was before and was in the reference.

    The previous mask and the reference features with their mask are concatenated to the current features as in RGMP
    (Oh et al., CVPR 2018, 3.1); the part's tracked boxes have already cancelled its motion.

    Args:
        channels: C of the pyramid.
        evidence_channels: E of the pixel correlation.
    """

    GUIDANCE = 24
    DETAIL = 24

    def __init__(self, channels: int, evidence_channels: int) -> None:
        super().__init__()
        self.guide_features = nn.Conv2d(channels + 1, self.GUIDANCE, 1)
        self.reduce_detail = nn.Conv2d(channels, self.DETAIL, 1)
        self.enter = _block(channels + evidence_channels + self.GUIDANCE + 1, 64)
        self.enter2 = _block(64, 64)
        self.middle = _block(64 + channels, 96)
        self.bottom_in = _block(96, 96, stride=2)
        self.bottom = _block(96, 96)
        self.up_middle = _block(96 + 96, 64)
        self.up_top = _block(64 + 64, 64)
        self.last = _block(32 + self.DETAIL + 1, 32)
        self.shrink = nn.Conv2d(64, 32, 1)
        self.mask = nn.Conv2d(32, 1, 3, padding=1)
        self.presence = nn.Linear(96, 1)

    def guide(self, features: Tensor, mask: Tensor) -> Tensor:
        """Guidance (N, 24, S, S) from the reference part's features (N, C, S, S) and mask (N, 1, S, S)."""
        return self.guide_features(torch.cat([features, mask], 1))

    def forward(self, part: PartInputs) -> tuple[Tensor, Tensor]:
        """Mask logits (N, 1, 2S, 2S) and the logits (N,) of the object being present in the part's box."""
        previous = F.avg_pool2d(part.previous, 2)
        top = self.enter2(self.enter(torch.cat([part.features, part.evidence, part.reference, previous], 1)))
        middle = self.middle(torch.cat([F.max_pool2d(top, 2), part.context], 1))
        bottom = self.bottom(self.bottom_in(middle))
        presence = self.presence(bottom.amax((2, 3)))[:, 0]
        middle = self.up_middle(torch.cat([middle, _double(bottom)], 1))
        top = self.up_top(torch.cat([top, _double(middle)], 1))
        detail = self.reduce_detail(part.detail)
        last = self.last(torch.cat([_double(self.shrink(top)), detail, part.previous], 1))
        return self.mask(last), presence


def join_parts(
    logits: Tensor, boxes: Tensor, reliability: Tensor, shape: tuple[int, int], stride: float = 1.0
) -> Tensor:
    """Paste the parts' masks back, averaged by reliability (FAVOS, Cheng et al., CVPR 2018, 3.3).

    Each part counts less towards its border, where it saw the least around it. Outside all parts is background.

    Args:
        logits: (K, 1, S, S), part 0 the whole object.
        boxes: (K, 4) the decoded windows in pixels.
        reliability: (K,) in [0, 1].
        shape: (H, W) of the output; stride: pixels of the image per output cell.

    Returns:
        (H, W) probability of the object.
    """
    size = logits.shape[-1]
    taper = _taper(size, logits)
    weight = reliability.clamp(min=1e-3)[:, None, None, None] * taper
    pasted = paste(torch.cat([logits.sigmoid() * weight, weight.expand_as(logits)], 1), boxes, shape, stride)
    total, mass = pasted.sum(0)
    return torch.where(mass > 0, total / mass.clamp(min=1e-6), torch.zeros_like(mass))


def soft_aggregate(probabilities: Tensor) -> Tensor:
    """Merge independently predicted objects into one distribution (RGMP, 3.3, equation 1).

    Args:
        probabilities: (K, H, W) in [0, 1], each object against the rest.

    Returns:
        (K + 1, H, W) that sum to 1, background first.
    """
    clamped = probabilities.clamp(1e-5, 1 - 1e-5)
    background = (1 - clamped).prod(0, keepdim=True).clamp(1e-5, 1 - 1e-5)
    odds = torch.cat([background, clamped])
    odds = odds / (1 - odds)
    return odds / odds.sum(0, keepdim=True)


def _taper(size: int, like: Tensor) -> Tensor:
    """Weight (size, size) of a part's pixels: 1 in the middle, falling to a little over 0 at the border."""
    ramp = torch.hann_window(size + 2, periodic=False, device=like.device, dtype=like.dtype)[1:-1]
    return ramp[:, None] * ramp[None] + 1e-3


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU(inplace=True)
    )


def _double(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
