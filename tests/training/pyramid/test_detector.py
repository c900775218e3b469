"""Mask R-CNN on the pyramid: instances without masks train boxes only, and eight images can be overfitted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from partprop.data.coco import CocoImages, open_coco
from partprop.model.backbone.imagenet import build_backbone, imagenet_weights, initialise_backbone
from partprop.model.backbone.pyramid import Pyramid
from partprop.params import SyntheticData
from partprop.stages.pretrain_fpn import measure
from partprop.synthetic import write_coco
from partprop.training.common.optimisation import build_optimizer, lr_factor, set_learning_rate
from partprop.training.pyramid.detector import UNKNOWN, build_detector, classifier_loss
from partprop.training.pyramid.samples import detection_sample

SIZE = 160


def target(has_mask: bool) -> dict[str, torch.Tensor]:
    masks = torch.zeros(1, 64, 64, dtype=torch.uint8)
    if has_mask:
        masks[:, 10:50, 10:50] = 1
    return {
        "boxes": torch.tensor([[10.0, 10, 50, 50]]),
        "labels": torch.tensor([1]),
        "masks": masks,
        "has_mask": torch.tensor([has_mask]),
    }


@pytest.fixture(scope="module")
def small_detector():
    torch.manual_seed(0)
    return build_detector(Pyramid(build_backbone("lite0"), 16), 2, 64).train()


def numbers_of(images: CocoImages) -> dict[str, int]:
    return {name: number for number, name in images.categories.items()}


def losses_of(detector, has_mask: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    return detector([image], [target(has_mask)])


def test_instances_without_polygons_have_box_losses_but_no_mask_loss(small_detector):
    known, unknown = losses_of(small_detector, True), losses_of(small_detector, False)
    assert known["loss_mask"] > 0
    assert unknown["loss_mask"] == 0
    for name in ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"):
        torch.testing.assert_close(known[name], unknown[name])


def test_an_object_of_unknown_category_is_any_class_but_not_background():
    logits = torch.tensor([[0.5, 1.0, -2.0], [3.0, 0.0, 1.0], [0.0, 2.0, 2.0]])
    chances = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = -np.log([chances[0, 1], chances[1, 0], chances[2, 1] + chances[2, 2]]).mean()
    labels = torch.tensor([1, 0, UNKNOWN])
    assert float(classifier_loss(logits, labels)) == pytest.approx(expected, rel=1e-5)


def test_an_object_of_unknown_category_trains_the_mask(small_detector):
    torch.manual_seed(0)
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    losses = small_detector([image], [target(True) | {"labels": torch.tensor([UNKNOWN])}])
    assert losses["loss_box_reg"] == 0
    assert losses["loss_mask"] > 0
    assert torch.isfinite(losses["loss_classifier"])


def test_an_image_without_instances_has_finite_losses(small_detector):
    empty = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
        "has_mask": torch.zeros(0, dtype=torch.bool),
    }
    losses = small_detector([torch.rand(3, 64, 64)], [empty])
    assert losses["loss_mask"] == 0
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_eight_images_can_be_overfitted(tmp_path: Path):
    """AP over all IoU thresholds on the training images; that of masks rises more slowly than that of boxes."""
    settings = SyntheticData(
        seed=3,
        width=SIZE,
        height=128,
        train_images=8,
        val_images=1,
        still_images=4,
        train_videos=1,
        val_videos=1,
        frames=8,
    )
    write_coco(tmp_path, settings)
    images = open_coco(tmp_path, "train2017")
    torch.manual_seed(0)
    backbone = initialise_backbone("lite0", imagenet_weights("lite0", "imagenet"))
    detector = build_detector(Pyramid(backbone, 32), len(images.categories), SIZE)
    optimizer = build_optimizer(detector, backbone, 2e-3, 0.2, 0.0)
    samples = [detection_sample(images, index, numbers_of(images), SIZE, None) for index in range(len(images))]
    steps = 200
    detector.train()
    for step in range(steps):
        set_learning_rate(optimizer, 2e-3 * lr_factor(step, steps, 20))
        chosen = np.random.default_rng(step).permutation(len(samples))[:4]
        losses = detector([samples[index][0] for index in chosen], [samples[index][1] for index in chosen])
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    scores = measure(detector, images, SIZE)
    assert scores["box_AP"] >= 0.8
    assert scores["mask_AP"] >= 0.65
    assert scores["agnostic_box_AR"] >= scores["agnostic_box_AP"]
