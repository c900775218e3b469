"""Mask propagation on parts: a U-shaped decoder of each part's mask, and joining parts and objects."""

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.backbone.pyramid import init_truncated_normal
from partprop.model.boxes import paste, to_centre_size
from partprop.model.precision import cast_for_matmul
from partprop.model.readout import MATCH_CHANNELS

MATCHES = 2 * MATCH_CHANNELS + 1  # channels of `Evidence.matches`: read globally, read locally, filtered
MASKS = [0, 2 * MATCH_CHANNELS, MATCH_CHANNELS]  # the masks among them: read globally, filtered, read locally


@dataclass(frozen=True)
class PartInputs:
    """Decoder inputs of N parts, RoI-aligned at S × S cells.

    Attributes:
        image: (N, 3, 2S, 2S), pixels of the current frame.
        detail, body, context: (N, 24, 2S, 2S), (N, 48, S, S) and (N, 48, S/2, S/2), of its P2, P3 and P4, see
            `MaskDecoder.reduce_frame`.
        values: (N, 32, S, S), of pixel correlation, see `MaskDecoder.reduce_evidence_values`.
        matches: (N, 9, S, S) in [-1, 1], see `Evidence.matches`; the channels MASKS are masks in [0, 1].
        prior: (N, 1, 2S, 2S), mask logits to correct.
        previous: (N, 1, 2S, 2S) in [0, 1], the previous mask in the part's previous window.
        guidance: (N, 24, S, S), from the reference frame, see `MaskDecoder.guide`.
    """

    image: Tensor
    detail: Tensor
    body: Tensor
    context: Tensor
    values: Tensor
    matches: Tensor
    prior: Tensor
    previous: Tensor
    guidance: Tensor

    def masks(self) -> Tensor:
        """All masks known before decoding, (N, 5, 2S, 2S) in [0, 1]: the masks among the matches, prior, previous."""
        return torch.cat([_double(self.matches[:, MASKS]), self.prior.sigmoid(), self.previous], 1)


class PartMasks(NamedTuple):
    """Decoded parts, (B, P, …) or (N, …).

    Attributes:
        logits: (…, 1, 2S, 2S), the part's mask: prior plus correction.
        corrections: (…, 1, 2S, 2S), of the prior's logits.
        presence: (…), logits of the object being visible in the part's window.
    """

    logits: Tensor
    corrections: Tensor
    presence: Tensor


class Reduction(nn.Sequential):
    """A 1×1 convolution to fewer channels, and a norm that brings all decoder inputs to one scale.

    The convolution commutes with RoIAlign. It can therefore reduce a frame's map once, for all parts of all objects.

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, bias=False), nn.GroupNorm(8, outputs))

    def reduce(self, features: Tensor) -> Tensor:
        """The convolution: (N, inputs, h, w) to (N, outputs, h, w)."""
        return self[0](features)

    def after(self, conv: nn.Conv2d, features: Tensor) -> Tensor:
        """`reduce(conv(features))` as a single convolution: both are linear.

        Args:
            conv: with stride 1 and a bias.
            features: (N, C, h, w), input of `conv`.
        """
        weight = cast(nn.Conv2d, self[0]).weight.flatten(1)  # (outputs, inputs)
        joint = (weight @ conv.weight.flatten(1)).unflatten(1, conv.weight.shape[1:])
        return F.conv2d(features, joint, weight @ cast(Tensor, conv.bias), padding=conv.padding)

    def normalise(self, reduced: Tensor) -> Tensor:
        """The norm, for crops of reduced maps."""
        return self[1](reduced)


class MaskDecoder(nn.Module):
    """Corrects the mask inside a part's window, from the part in the current, previous and reference frame.

    It corrects the prior of pixel correlation, so that labels propagate before any training. Its inputs include the
    previous mask, and the reference features with their mask, as in RGMP (Oh et al., CVPR 2018, 3.1).

    Args:
        channels: C of the pyramid.
        value_channels: V of the pixel correlation.
        roi_size: S, side of the parts' RoIAlign in cells at inference; masks are decoded at 2S.
        training_roi_size: S in training; finer masks pay at inference only.
    """

    GUIDANCE = 24
    DETAIL = 24
    IMAGE = 16
    REDUCED = 48
    VALUES = 32

    def __init__(self, channels: int, value_channels: int, roi_size: int, training_roi_size: int) -> None:
        super().__init__()
        self._roi_size, self._training_roi_size = roi_size, training_roi_size
        self.guide_features = Reduction(channels + 1, self.GUIDANCE)
        self.reduce_image = _block(3, self.IMAGE)
        self.reduce_detail = Reduction(channels, self.DETAIL)
        self.reduce_features = Reduction(channels, self.REDUCED)
        self.reduce_context = Reduction(channels, self.REDUCED)
        self.reduce_values = Reduction(2 * value_channels, self.VALUES)
        self.enter = _block(self.REDUCED + self.VALUES + MATCHES + self.GUIDANCE + 1, 64)
        self.enter2 = _block(64, 64)
        self.middle = _block(64 + self.REDUCED, 96)
        self.bottom_in = _block(96, 96, stride=2)
        self.bottom = _block(96, 96)
        self.up_middle = _block(96 + 96, 64)
        self.up_top = _block(64 + 64, 64)
        self.shrink = nn.Conv2d(64, 32, 1)
        self.last = _block(32 + self.IMAGE + self.DETAIL + 5, 32)
        self.mask = nn.Conv2d(32, 1, 3, padding=1)
        self.presence = nn.Linear(96, 1)
        init_truncated_normal(self)
        init_truncated_normal(self.mask, std=0.01)

    @property
    def roi_size(self) -> int:
        """S of the current mode, training or inference."""
        return self._training_roi_size if self.training else self._roi_size

    def guide(self, features: Tensor, mask: Tensor) -> Tensor:
        """Guidance (N, 24, S, S) from a part's features (N, C, S, S) and mask (N, 1, S, S) in the reference frame."""
        return self.guide_features(torch.cat([features, mask], 1))

    def reduce_frame(self, finest: nn.Conv2d, p2: Tensor, p3: Tensor, p4: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Decoder inputs of a frame before RoIAlign, from its pyramid: (B, 24, ·, ·), (B, 48, ·, ·), (B, 48, ·, ·).

        Args:
            finest: last convolution of P2; p2: its input, see `Pyramid.levels`.
        """
        detail = self.reduce_detail.after(finest, p2)
        return detail, self.reduce_features.reduce(p3), self.reduce_context.reduce(p4)

    def reduce_evidence_values(self, values: Tensor) -> Tensor:
        """Decoder input before RoIAlign, (B, 32, h, w), from the values (B, 2V, h, w) of the evidence."""
        return self.reduce_values.reduce(values)

    def forward(self, part: PartInputs) -> PartMasks:
        """Decode N parts."""
        features, values = self.reduce_features.normalise(part.body), self.reduce_values.normalise(part.values)
        previous = F.avg_pool2d(part.previous, 2)
        top = self.enter2(self.enter(_joined(features, values, part.matches, part.guidance, previous)))
        middle = self.middle(_joined(F.max_pool2d(top, 2), self.reduce_context.normalise(part.context)))
        bottom = self.bottom(self.bottom_in(middle))
        middle = self.up_middle(_joined(middle, _double(bottom)))
        top = self.up_top(_joined(top, _double(middle)))
        image, detail = self.reduce_image(part.image), self.reduce_detail.normalise(part.detail)
        last = self.last(_joined(_double(self.shrink(top)), image, detail, part.masks()))
        corrections = self.mask(last)
        return PartMasks(part.prior + corrections, corrections, self.presence(bottom.amax((2, 3)))[:, 0])


def join_parts(prior: Tensor, corrections: Tensor, boxes: Tensor, reliability: Tensor, stride: float = 1.0) -> Tensor:
    """Add the parts' corrections to the prior, averaged by reliability (FAVOS, Cheng et al., CVPR 2018, 3.3).

    A part counts more the smaller its window is, since training decodes it in finer cells, and less towards the border
    of its window, where it has the least context. Pixels outside all windows are background.

    Args:
        prior: (H, W) logits.
        corrections: (K, 1, S, S) of logits; part 0 is the whole object.
        boxes: (K, 4), the decoded windows in pixels.
        reliability: (K,) in [0, 1].
        stride: pixels of the image per cell of the prior.

    Returns:
        Probability of the object, (H, W).
    """
    _, sides = to_centre_size(boxes)
    density = sides[:1].prod(1) / sides.prod(1).clamp(min=1)
    weight = (reliability * density).clamp(min=1e-3)[:, None, None, None] * _taper(corrections.shape[-1], corrections)
    shape = (prior.shape[0], prior.shape[1])
    pasted = paste(torch.cat([corrections * weight, weight.expand_as(corrections)], 1), boxes, shape, stride)
    total, mass = pasted.sum(0)
    return torch.where(mass > 0, (prior + total / mass.clamp(min=1e-6)).sigmoid(), torch.zeros_like(mass))


def soft_aggregate(probabilities: Tensor) -> Tensor:
    """Merge independently predicted objects into one distribution by their odds (RGMP, 3.3, equation 1).

    The background has odds of its own, so the log-odds of a single object double: the mask that is carried on is surer
    than the decoded one, which keeps uncertain regions from spreading.

    Args:
        probabilities: (K, H, W) in [0, 1], each object against the rest.

    Returns:
        (K + 1, H, W), background first; sums to 1 over the first dimension.
    """
    clamped = probabilities.clamp(1e-5, 1 - 1e-5)
    rest = 1 - clamped
    background = rest.prod(0, keepdim=True).clamp(1e-5, 1 - 1e-5)
    odds = torch.cat([background / (1 - background), clamped / rest])
    return odds / odds.sum(0, keepdim=True)


def _taper(size: int, like: Tensor) -> Tensor:
    """Weight (size, size) of a part's pixels: 1 in the middle, slightly above 0 at the border."""
    ramp = torch.hann_window(size + 2, periodic=False, device=like.device, dtype=like.dtype)[1:-1]
    return ramp[:, None] * ramp[None] + 1e-3


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.ReLU(inplace=True)
    )


def _joined(*maps: Tensor) -> Tensor:
    """Concatenate maps (N, ·, h, w) in the precision of the convolution; the widest would win otherwise."""
    return torch.cat([cast_for_matmul(each) for each in maps], 1)


def _double(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
