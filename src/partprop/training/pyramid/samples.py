"""Still images as inputs and targets of Mask R-CNN."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from partprop.base.errors import UserError
from partprop.data.instances import Instance, InstanceImages
from partprop.training.common.augment import apply_colour_matrix, sample_colour_matrix
from partprop.training.pyramid.detector import UNKNOWN

Target = dict[str, Tensor]


@dataclass(frozen=True)
class DetectionSamples:
    """Random images of several sets as training samples; build it with `collect`.

    Attributes:
        sets: image sets.
        usable: of each set, the images to draw from.
        shares: of each set, the probability that an image is drawn from it.
        numbers: class numbers from 1 by category name.
        size: of the images' longer side in pixels, before augmentation.
    """

    sets: Sequence[InstanceImages]
    usable: Sequence[Sequence[int]]
    shares: Sequence[float]
    numbers: Mapping[str, int]
    size: int

    @classmethod
    def collect(
        cls,
        weighted: Sequence[tuple[InstanceImages, float]],
        held_out: Collection[str],
        numbers: Mapping[str, int],
        size: int,
    ) -> "DetectionSamples":
        """Collect the images without held-out categories.

        Args:
            weighted: image sets, and the sampling weight of an image in each.
            held_out: categories that no image may show.

        Raises:
            UserError: no image is left.
        """
        sets = [images for images, _ in weighted]
        usable = [
            [index for index in range(len(images)) if not set(held_out).intersection(images.categories_in(index))]
            for images in sets
        ]
        totals = np.array([weight * len(found) for (_, weight), found in zip(weighted, usable, strict=True)])
        if not totals.any():
            names = ", ".join(str(images.origin) for images in sets)
            raise UserError(f"{names}: no image to train on; see train_tracking.still_weights and held_out_categories")
        return cls(sets, usable, (totals / totals.sum()).tolist(), numbers, size)

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Target]:
        """Draw a sample, see `detection_sample`."""
        chosen = int(rng.choice(len(self.sets), p=self.shares))
        index = self.usable[chosen][int(rng.integers(len(self.usable[chosen])))]
        return detection_sample(self.sets[chosen], index, self.numbers, self.size, rng)


def detection_sample(
    images: InstanceImages, index: int, numbers: Mapping[str, int], size: int, rng: np.random.Generator | None
) -> tuple[Tensor, Target]:
    """Return an image and its instances, crowds left out, resized so that the longer side has `size` pixels.

    Args:
        index: position of the image in `images`.
        numbers: class numbers from 1 by category name.
        rng: for augmentation in training: a random flip, a random size of 70 to 100 % of `size`, and a colour change;
            None for no augmentation.

    Returns:
        The image, float (3, H, W) in [0, 1], and its target: "boxes" float (N, 4), xyxy in pixels; "labels" int64 (N,),
        class numbers, UNKNOWN for other categories; "masks" uint8 (N, H, W) in {0, 1}; "has_mask" bool (N,), False
        where no mask is annotated, which is then all 0.
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
    target = _target(instances, numbers, pixels.shape[:2], scale)
    image = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    return (image.flip(2), _flip(target, image.shape[2])) if flip else (image, target)


def _target(instances: list[Instance], numbers: Mapping[str, int], shape: tuple[int, ...], scale: float) -> Target:
    """Return the target of instances in an image of `shape` (H, W) that was resized by `scale`."""
    height, width = shape
    boxes = np.array([instance.box_xyxy for instance in instances], np.float32).reshape(-1, 4) * scale
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    masks = np.zeros((len(instances), height, width), np.uint8)
    for row, instance in zip(masks, instances, strict=True):
        if instance.mask is not None:
            row[:] = cv2.resize(instance.mask, (width, height), interpolation=cv2.INTER_NEAREST)
    labels = [numbers.get(instance.category or "", UNKNOWN) for instance in instances]
    return {
        "boxes": torch.from_numpy(boxes),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.from_numpy(masks),
        "has_mask": torch.tensor([instance.mask is not None for instance in instances], dtype=torch.bool),
    }


def _flip(target: Target, width: int) -> Target:
    """Mirror a target left and right, in an image `width` pixels wide."""
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return target | {"boxes": boxes, "masks": target["masks"].flip(2)}
