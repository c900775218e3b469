"""Mask R-CNN (He et al., ICCV 2017) on the feature pyramid, to pre-train the pyramid and to verify it."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss, maskrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from partprop.model.backbone.pyramid import Pyramid, init_truncated_normal

LEVELS = ["0", "1", "2", "3"]  # P2..P5, from which RoIs are pooled
ANCHOR_SIZES = (
    (16,),
    (32,),
    (64,),
    (128,),
    (256,),
)  # half of the usual sizes on COCO, for images of about half the usual size
BOX_HEAD_CHANNELS = 256
PREDICTOR_STD = 0.01  # small, so that training starts from uniform predictions (Girshick, ICCV 2015, section 2.3)


UNKNOWN = 2**15
"""Label of an object whose category is not among the detector's."""


class AgnosticMaskPredictor(MaskRCNNPredictor):
    """torchvision's MaskRCNNPredictor with one mask for all classes: (N, classes + 1, 2S, 2S), expanded.

    Args:
        channels: of the input.
        classes: number of object classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, channels, 1)
        self.classes = classes

    def forward(self, features: Tensor) -> Tensor:
        """See torchvision's MaskRCNNPredictor."""
        return super().forward(features).expand(-1, self.classes + 1, -1, -1)


class PartlyLabelledHeads(RoIHeads):
    """torchvision's RoIHeads for objects without an annotated mask, and for objects of unknown category.

    The mask loss skips objects without a mask. For an object with the label UNKNOWN, any class is right and the
    background wrong, and its box, which is regressed by class, has no loss here. Targets have the key `has_mask`, bool
    (objects,), in addition to torchvision's keys.
    """

    def forward(self, features, proposals, image_shapes, targets=None):  # type: ignore[no-untyped-def]
        """See torchvision's RoIHeads; only the losses differ."""
        if not self.training:
            return super().forward(features, proposals, image_shapes, targets)
        proposals, matches, labels, regression = self.select_training_samples(proposals, targets)
        logits, offsets = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        known = [torch.where(label == UNKNOWN, 0, label) for label in labels]
        _, box = fastrcnn_loss(logits, offsets, known, regression)
        losses = {"loss_classifier": classifier_loss(logits, torch.cat(labels)), "loss_box_reg": box}
        return [], losses | {"loss_mask": self._mask_loss(features, proposals, matches, labels, image_shapes, targets)}

    def _mask_loss(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        matches: list[Tensor],
        labels: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]],
    ) -> Tensor:
        kept = [
            torch.where((label > 0) & target["has_mask"][match])[0] if len(target["boxes"]) else label.new_zeros(0)
            for label, match, target in zip(labels, matches, targets, strict=True)
        ]
        boxes = [proposal[index] for proposal, index in zip(proposals, kept, strict=True)]
        logits = self.mask_predictor(self.mask_head(self.mask_roi_pool(features, boxes, image_shapes)))
        if logits.shape[0] == 0:
            return logits.sum() * 0
        return maskrcnn_loss(
            logits,
            boxes,
            [target["masks"] for target in targets],
            [target["labels"].clamp(max=1) for target in targets],  # one mask for all classes
            [match[index] for match, index in zip(matches, kept, strict=True)],
        )


def classifier_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of N proposals; of an UNKNOWN object, that of any class against the background.

    Args:
        logits: (N, classes + 1), background first.
        labels: int64 (N,), 0 for the background, class numbers from 1, or UNKNOWN.
    """
    unknown = labels == UNKNOWN
    of_class = F.cross_entropy(logits, torch.where(unknown, 0, labels), reduction="none")
    of_any_class = logits.logsumexp(1) - logits[:, 1:].logsumexp(1)
    return torch.where(unknown, of_any_class, of_class).mean()


def build_detector(pyramid: Pyramid, classes: int, image_size: int) -> GeneralizedRCNN:
    """Build a Mask R-CNN with new heads on a pyramid.

    It takes images (3, H, W) in [0, 1] and normalises them as `partprop.model.backbone.imagenet.normalise` does.

    Args:
        classes: number of object classes, numbered from 1; 0 is the background.
        image_size: largest side of an image in pixels.
    """
    rpn, heads = _region_proposals(pyramid.out_channels), _heads(pyramid.out_channels, classes)
    for module in (heads.box_head, heads.mask_head):
        init_truncated_normal(module)
    for module in (rpn.head, heads.box_predictor, heads.mask_predictor):
        init_truncated_normal(module, PREDICTOR_STD)
    # no resizing: augmentation has already set the size of training images
    transform = GeneralizedRCNNTransform(image_size, image_size, [0.5] * 3, [0.5] * 3, _skip_resize=True)
    return GeneralizedRCNN(pyramid, rpn, heads, transform)


def _region_proposals(channels: int) -> RegionProposalNetwork:
    anchors = AnchorGenerator(ANCHOR_SIZES, ((0.5, 1.0, 2.0),) * len(ANCHOR_SIZES))
    return RegionProposalNetwork(
        anchors,
        RPNHead(channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 1000, "testing": 500},
        post_nms_top_n={"training": 500, "testing": 300},
        nms_thresh=0.7,
    )


def _heads(channels: int, classes: int) -> PartlyLabelledHeads:
    return PartlyLabelledHeads(
        MultiScaleRoIAlign(LEVELS, 7, 2),
        TwoMLPHead(channels * 49, BOX_HEAD_CHANNELS),
        FastRCNNPredictor(BOX_HEAD_CHANNELS, classes + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=128,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=100,
        mask_roi_pool=MultiScaleRoIAlign(LEVELS, 14, 2),
        mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1),
        mask_predictor=AgnosticMaskPredictor(channels, classes),
    )
