"""COCO images as inputs and targets of Mask R-CNN."""

import cv2
import numpy as np
import torch
from torch import Tensor

from partprop.data.coco import CocoImages, Instance
from partprop.training.common.augment import apply_colour_matrix, sample_colour_matrix

Target = dict[str, Tensor]


def detection_sample(
    images: CocoImages, index: int, size: int, rng: np.random.Generator | None
) -> tuple[Tensor, Target]:
    """Return an image and its instances, crowds left out, resized so that the longer side has `size` pixels.

    Args:
        index: position of the image in `images`.
        rng: for augmentation in training: a random flip, a random size of 70 to 100 % of `size`, and a colour change;
            None for no augmentation.

    Returns:
        The image, float (3, H, W) in [0, 1], and its target: "boxes" float (N, 4), xyxy in pixels; "labels" int64 (N,),
        from 1; "masks" uint8 (N, H, W) in {0, 1}; "has_mask" bool (N,), False where no mask is annotated, which is then
        all 0.
    """
    pixels = images.image(index)
    instances = [instance for instance in images.instances(index) if not instance.crowd]
    scale = size / max(pixels.shape[:2]) * (1.0 if rng is None else rng.uniform(0.7, 1.0))
    flip = rng is not None and rng.random() < 0.5
    if rng is not None:
        pixels = apply_colour_matrix(pixels, sample_colour_matrix(rng, 0.2))
    pixels = cv2.resize(
        pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    target = _target(instances, pixels.shape[:2], scale)
    image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    return (image.flip(2), _flip(target, image.shape[2])) if flip else (image, target)


def _target(instances: list[Instance], shape: tuple[int, ...], scale: float) -> Target:
    """Return the target of instances in an image of `shape` (H, W) that was resized by `scale`."""
    height, width = shape
    boxes = np.array([instance.box_xyxy for instance in instances], np.float32).reshape(-1, 4) * scale
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    masks = np.zeros((len(instances), height, width), np.uint8)
    for row, instance in zip(masks, instances, strict=True):
        if instance.mask is not None:
            row[:] = cv2.resize(instance.mask, (width, height), interpolation=cv2.INTER_NEAREST)
    return {
        "boxes": torch.from_numpy(boxes),
        "labels": torch.tensor([instance.category for instance in instances], dtype=torch.int64),
        "masks": torch.from_numpy(masks),
        "has_mask": torch.tensor([instance.mask is not None for instance in instances], dtype=torch.bool),
    }


def _flip(target: Target, width: int) -> Target:
    """Mirror a target left and right, in an image `width` pixels wide."""
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return target | {"boxes": boxes, "masks": target["masks"].flip(2)}
