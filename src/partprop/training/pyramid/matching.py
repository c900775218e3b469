"""Losses by which keys learn to match an object with its reference, without forgetting what they matched before."""

import torch
import torch.nn.functional as F
from torch import Tensor

INVERSE_TEMPERATURE = 40.0  # of cosines, where the network's read-outs start
BALANCE = 0.5  # weight of the loss with object and background alike, beside that of the mean pixel
EXCLUDED = -1e4  # finite, since infinities would give NaN gradients
WEIGHTS = {"attention": 1.0, "match": 0.5, "key_drift": 0.5}


def matching_losses(
    reference: Tensor, later: Tensor, unlearned: tuple[Tensor, Tensor], masks: Tensor, shown: Tensor
) -> dict[str, Tensor]:
    """Return the losses of B pairs of views, scalars by the names of WEIGHTS.

    attention: of the mask that the later view reads from the reference by attention over all cells (STM, Oh et al.,
    ICCV 2019, section 3.2). match: of the difference of its best matches in object and background (FEELVOS,
    Voigtlaender et al., CVPR 2019, section 3.3), in pairs that have both. key_drift: one minus the mean cosine with the
    keys before any learning, as a teacher: few images show less than ImageNet did.

    Args:
        reference, later: unit keys (B, K, h, w) of the two views.
        unlearned: unit keys of both from the teacher.
        masks: (B, 2, h, w) in [0, 1], of the object in both views.
        shown: (B, h, w), 0 in cells of the reference in which the object is not to be matched.
    """
    share = masks[:, 0].flatten(1)[:, None]
    hidden = (shown.flatten(1)[:, None] == 0) & (share > 0)
    similarity = INVERSE_TEMPERATURE * later.flatten(2).transpose(1, 2) @ reference.flatten(2)
    attention = ((similarity + EXCLUDED * hidden).softmax(2) * share).sum(2)
    is_object, is_background = (share > 0.5) & ~hidden, (share <= 0.5) & ~hidden
    best_object, best_background = (
        (similarity + EXCLUDED * ~candidates).amax(2) for candidates in (is_object, is_background)
    )
    truth = masks[:, 1].flatten(1)
    both = (is_object.any(2) & is_background.any(2))[:, 0]  # a thin object fills no cell by half
    drift = [1 - (keys * before).sum(1).mean() for keys, before in zip((reference, later), unlearned, strict=True)]
    return {
        "attention": balanced_cross_entropy(attention.clamp(1e-4, 1 - 1e-4).logit(), truth),
        "match": balanced_cross_entropy((best_object - best_background)[both], truth[both]),
        "key_drift": torch.stack(drift).mean(),
    }


def balanced_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the cross-entropy of masks (B, N) in [0, 1], half of it with equal weight for object and background.

    It is 0 for no masks.
    """
    if not len(logits):
        return logits.sum()
    loss = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    sides = torch.stack([(loss * side).sum(1) / side.sum(1).clamp(min=1) for side in (truth, 1 - truth)])
    return (1 - BALANCE) * loss.mean() + BALANCE * sides.mean()
