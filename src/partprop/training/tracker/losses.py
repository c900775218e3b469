"""Losses of tracking and propagation training."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.boxes import enlarge, roi_align, to_centre_size
from partprop.model.network import CONTEXT, FrameOutput
from partprop.model.part_tracker import response_centres

HARD_SHARE = 0.4  # of a part's pixels count, those with the largest loss
WEIGHTS = {
    "joined_ce": 1.0,
    "joined_dice": 1.0,
    "mask_ce": 1.0,
    "mask_dice": 1.0,
    "presence": 0.2,
    "correlation": 0.4,
    "score": 0.5,
}
PRESENT_SHARE = 0.005  # of a part's window, above which the object counts as present in it


@dataclass(frozen=True)
class FrameTargets:
    """The truth of a frame.

    mask: (B, 1, H, W) in {0, 1}. boxes: (B, P, 4) true boxes of the parts; tracked: (B, P) where these are known.
    windows: (B, P, 4) boxes in which masks were decoded. last: (B, P, 4) boxes around which the tracker searched.
    """

    mask: Tensor
    boxes: Tensor
    tracked: Tensor
    windows: Tensor
    last: Tensor


def total_loss(losses: dict[str, Tensor]) -> Tensor:
    """The weighted sum of the terms of `frame_losses`."""
    return torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()


def frame_losses(output: FrameOutput, targets: FrameTargets) -> dict[str, Tensor]:
    """All terms for one frame, each a scalar: joined mask, parts' masks, presence, correlation, tracking."""
    size = output.masks.shape[-1]
    truth = roi_align(targets.mask, enlarge(targets.windows, CONTEXT), size, 1)
    joined = F.avg_pool2d(targets.mask, targets.mask.shape[-1] // output.joined.shape[-1])[:, None]
    seen = (joined.flatten(2).amax(2) > 0.5).float()
    present = (truth.flatten(2).mean(2) > PRESENT_SHARE).float()
    return {
        "joined_ce": hard_cross_entropy(output.joined[:, None].clamp(1e-4, 1 - 1e-4).logit(), joined),
        "joined_dice": dice_loss(output.joined[:, None], joined, seen),
        "mask_ce": hard_cross_entropy(output.masks, truth),
        "mask_dice": dice_loss(output.masks.sigmoid(), truth, present),
        "presence": F.binary_cross_entropy_with_logits(output.presence, present),
        "correlation": correlation_loss(output.correlation, targets.mask),
        "score": tracking_loss(output.scores, targets.boxes, targets.last, targets.tracked),
    }


def hard_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy over the pixels with the largest loss of each part (bootstrapped, Wu et al. 2016).

    logits and truth: (B, P, 1, S, S), truth in [0, 1].
    """
    loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(2)
    return loss.topk(int(HARD_SHARE * loss.shape[2]), dim=2).values.mean()


def dice_loss(probability: Tensor, truth: Tensor, present: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, mean over the parts that show the object.

    As of V-Net (Milletari et al., 3DV 2016, section 3), but without squares in its denominator.

    probability and truth: (B, P, 1, S, S). present: (B, P), 0 or 1: where the truth is empty the coefficient
    says nothing.
    """
    overlap = (probability * truth).flatten(2).sum(2)
    total = probability.flatten(2).sum(2) + truth.flatten(2).sum(2)
    loss = 1 - (2 * overlap + 1) / (total + 1)
    return (loss * present).sum() / present.sum().clamp(min=1)


def correlation_loss(masks: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of the masks (B, 3, h, w) that correlation and filter find, against the truth (B, 1, H, W)."""
    small = F.interpolate(truth, size=masks.shape[2:], mode="area").expand_as(masks)
    return F.binary_cross_entropy(masks.clamp(1e-4, 1 - 1e-4), small)


def tracking_loss(scores: Tensor, boxes: Tensor, last: Tensor, tracked: Tensor) -> Tensor:
    """Balanced cross-entropy of the part tracker's scores.

    A place is positive within a quarter of the last box of the true centre and negative beyond half of it (SiamFC, 2.2,
    has one radius, in pixels, for both). Positives and negatives weigh the same.

    Args:
        scores: (B, P, R, R) logits.
        boxes: (B, P, 4) true boxes. last: (B, P, 4) searched around.
        tracked: (B, P) 1 where the true box is known.
    """
    centre, _ = to_centre_size(boxes)
    _, last_size = to_centre_size(last)
    distance = (response_centres(last) - centre[..., None, None, :]) / last_size.clamp(min=1)[..., None, None, :]
    distance = distance.abs().amax(-1)
    known = tracked[..., None, None]
    positive = (distance <= 0.25) * known
    negative = (distance > 0.5) * known
    loss = F.binary_cross_entropy_with_logits(scores, positive, reduction="none")
    return (_mean_where(loss, positive) + _mean_where(loss, negative)) / 2


def _mean_where(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)
