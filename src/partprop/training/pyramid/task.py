"""The task of pre-training: detect the objects of still images, and match an object between two views."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN

from partprop.model.backbone.imagenet import scale_pixels
from partprop.model.backbone.keys import KeyedPyramid
from partprop.training.pyramid.matching import matching_losses
from partprop.training.pyramid.pairs import Pair
from partprop.training.pyramid.samples import Target

KEY_STRIDE = 8  # pixels per cell of the keys that are matched


class TaskBatch(NamedTuple):
    """The arguments of `PretrainingTask.forward`.

    Attributes:
        images, targets: for the detector; none for no detection.
        views: (B, 2, 3, S, S), normalised, the reference first; this and the rest are None for no matching.
        masks: (B, 2, S/8, S/8) in [0, 1], the object's share of each cell.
        shown: (B, S/8, S/8), see `matching_losses`.
    """

    images: list[Tensor]
    targets: list[Target]
    views: Tensor | None
    masks: Tensor | None
    shown: Tensor | None


def collate(samples: Sequence[tuple[Tensor, Target] | Pair]) -> TaskBatch:
    """Make a batch of images with targets, and of pairs, in any order."""
    detection = [sample for sample in samples if not isinstance(sample, Pair)]
    pairs = [sample for sample in samples if isinstance(sample, Pair)]
    images, targets = [image for image, _ in detection], [target for _, target in detection]
    return TaskBatch(images, targets, *(_stack(pairs) if pairs else (None, None, None)))


def _stack(pairs: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor]:
    """Views, masks and shown cells of a batch, see `TaskBatch`."""
    views = torch.from_numpy(np.stack([pair.images for pair in pairs])).permute(0, 1, 4, 2, 3)
    masks, shown = (
        torch.from_numpy(np.stack(each)).float()
        for each in ([pair.masks for pair in pairs], [pair.shown for pair in pairs])
    )
    return scale_pixels(views), F.avg_pool2d(masks, KEY_STRIDE), -F.max_pool2d(-shown, KEY_STRIDE)


class PretrainingTask(nn.Module):
    """Mask R-CNN and matching on one pyramid.

    Detection alone shifts the backbone's features away from those that match pixels; matching alone trains no FPN.

    Args:
        detector: Mask R-CNN on the pyramid of `learner`.
        learner: the pyramid and the key projections to train.
    """

    def __init__(self, detector: GeneralizedRCNN, learner: KeyedPyramid) -> None:
        super().__init__()
        self.detector = detector
        self.learner = learner
        self.teacher = copy.deepcopy(learner).requires_grad_(False)

    def forward(
        self,
        images: list[Tensor],
        targets: list[Target],
        views: Tensor | None,
        masks: Tensor | None,
        shown: Tensor | None,
    ) -> dict[str, Tensor]:
        """Return the losses of both tasks by name, see torchvision's GeneralizedRCNN and `matching_losses`.

        Args: see `TaskBatch`.
        """
        losses = self.detector(images, targets) if images else {}
        if views is None or masks is None or shown is None:
            return losses
        reference, later = self.learner(views.flatten(0, 1)).unflatten(0, views.shape[:2]).unbind(1)
        with torch.no_grad():
            unlearned = self.teacher(views.flatten(0, 1)).unflatten(0, views.shape[:2]).unbind(1)
        return losses | matching_losses(reference, later, unlearned, masks, shown)
