"""Losses of part tracking, pixel correlation and mask propagation."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.boxes import enlarge, roi_align, to_centre_size
from partprop.model.network import CONTEXT, FrameOutput
from partprop.model.part_tracker import response_centres

HARD_SHARE = 0.4  # fraction of a part's pixels, those with the largest cross-entropy, that count
WEIGHTS = {
    "joined_ce": 1.0,
    "joined_dice": 1.0,
    "mask_ce": 1.0,
    "mask_dice": 1.0,
    "presence": 0.2,
    "correlation": 0.4,
    "score": 0.5,
}
PRESENT_SHARE = 0.005  # fraction of a part's window above which the object counts as present
POSITIVE_RADIUS, NEGATIVE_RADIUS = 0.25, 0.5  # of the part tracker's labels, over the size of the last box


@dataclass(frozen=True)
class FrameTargets:
    """Ground truth of a frame of B clips with P parts; boxes are xyxy in pixels.

    Attributes:
        mask: (B, 1, H, W) in {0, 1}.
        boxes: (B, P, 4), true boxes of the parts.
        tracked: (B, P), 1 where the true box is known, else 0.
        windows: (B, P, 4), boxes in which the masks were decoded.
        last_boxes: (B, P, 4), boxes around which the tracker searched.
    """

    mask: Tensor
    boxes: Tensor
    tracked: Tensor
    windows: Tensor
    last_boxes: Tensor


def total_loss(losses: dict[str, Tensor]) -> Tensor:
    """Return the weighted sum of the losses of `frame_losses`, a scalar."""
    return torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()


def frame_losses(output: FrameOutput, targets: FrameTargets) -> dict[str, Tensor]:
    """Return the losses of one frame, scalars by the names of WEIGHTS.

    joined_*: of the object's joined mask. mask_*: of the parts' masks. presence: whether a window shows the object.
    correlation: of the masks that pixel correlation finds. score: of the part tracker.
    """
    size = output.masks.shape[-1]
    truth = roi_align(targets.mask, enlarge(targets.windows, CONTEXT), size, 1)
    joined = F.avg_pool2d(targets.mask, targets.mask.shape[-1] // output.joined.shape[-1])[:, None]
    visible = (joined.flatten(2).amax(2) > 0.5).float()
    present = (truth.flatten(2).mean(2) > PRESENT_SHARE).float()
    return {
        "joined_ce": hard_cross_entropy(output.joined[:, None].clamp(1e-4, 1 - 1e-4).logit(), joined),
        "joined_dice": dice_loss(output.joined[:, None], joined, visible),
        "mask_ce": hard_cross_entropy(output.masks, truth),
        "mask_dice": dice_loss(output.masks.sigmoid(), truth, present),
        "presence": F.binary_cross_entropy_with_logits(output.presence, present),
        "correlation": correlation_loss(output.correlation, targets.mask),
        "score": tracking_loss(output.scores, targets.boxes, targets.last_boxes, targets.tracked),
    }


def hard_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of each part's hardest pixels (bootstrapping, Wu et al. 2016).

    Args:
        logits: (B, P, 1, S, S).
        truth: (B, P, 1, S, S) in [0, 1].
    """
    loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").flatten(2)
    return loss.topk(int(HARD_SHARE * loss.shape[2]), dim=2).values.mean()


def dice_loss(probability: Tensor, truth: Tensor, present: Tensor) -> Tensor:
    """Return one minus the soft Dice coefficient, the mean over the parts that show the object.

    The coefficient is that of V-Net (Milletari et al., 3DV 2016, section 3), without squares in its denominator.

    Args:
        probability: (B, P, 1, S, S).
        truth: (B, P, 1, S, S) in [0, 1].
        present: (B, P), 1 for the parts that count; the coefficient of an empty mask is meaningless.
    """
    overlap = (probability * truth).flatten(2).sum(2)
    total = probability.flatten(2).sum(2) + truth.flatten(2).sum(2)
    loss = 1 - (2 * overlap + 1) / (total + 1)
    return (loss * present).sum() / present.sum().clamp(min=1)


def correlation_loss(masks: Tensor, truth: Tensor) -> Tensor:
    """Return the cross-entropy of the masks found by correlation and filter, at their own resolution.

    Args:
        masks: (B, 3, h, w) in [0, 1].
        truth: (B, 1, H, W) in {0, 1}.
    """
    small = F.interpolate(truth, size=masks.shape[2:], mode="area").expand_as(masks)
    return F.binary_cross_entropy(masks.clamp(1e-4, 1 - 1e-4), small)


def tracking_loss(scores: Tensor, boxes: Tensor, last: Tensor, tracked: Tensor) -> Tensor:
    """Return the balanced cross-entropy of the part tracker's scores.

    A position is positive within a quarter of the last box's size from the true centre, negative beyond half of it, and
    ignored in between; SiamFC (Bertinetto et al. 2016, section 2.2) has one radius in pixels. Positives and negatives
    have equal weight in total.

    Args:
        scores: (B, P, R, R) logits at the positions in the search window.
        boxes: (B, P, 4), true boxes.
        last: (B, P, 4), boxes around which the tracker searched.
        tracked: (B, P), 1 where the true box is known, else 0.
    """
    centre, _ = to_centre_size(boxes)
    _, last_size = to_centre_size(last)
    distance = (response_centres(last) - centre[..., None, None, :]) / last_size.clamp(min=1)[..., None, None, :]
    distance = distance.abs().amax(-1)
    known = tracked[..., None, None]
    positive = (distance <= POSITIVE_RADIUS) * known
    negative = (distance > NEGATIVE_RADIUS) * known
    loss = F.binary_cross_entropy_with_logits(scores, positive, reduction="none")
    return (_mean_where(loss, positive) + _mean_where(loss, negative)) / 2


def _mean_where(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)
