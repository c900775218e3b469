"""COCO images as training samples of Mask R-CNN."""

from pathlib import Path

import numpy as np
import pytest
import torch

from partprop.data.coco import CocoImages, open_coco
from partprop.data.stills import open_stills
from partprop.params import SyntheticData
from partprop.synthetic import write_coco, write_stills
from partprop.training.pyramid.detector import UNKNOWN
from partprop.training.pyramid.samples import DetectionSamples, detection_sample

SETTINGS = SyntheticData(
    seed=5, width=96, height=64, train_images=4, val_images=1, still_images=4, train_videos=1, val_videos=1, frames=8
)


@pytest.fixture
def images(tmp_path: Path) -> CocoImages:
    write_coco(tmp_path, SETTINGS)
    return open_coco(tmp_path, "train2017")


def test_without_augmentation_the_longer_side_has_the_given_size(images: CocoImages):
    image, target = detection_sample(images, 0, {}, 48, None)
    assert image.shape == (3, 32, 48)
    assert image.min() >= 0
    assert image.max() <= 1
    instances = images.instances(0)
    np.testing.assert_allclose(target["boxes"], np.stack([each.box_xyxy for each in instances]) / 2, atol=1e-4)
    assert target["masks"].shape == (len(instances), 32, 48)
    assert target["has_mask"].all()


def test_boxes_and_masks_are_flipped_and_resized_with_the_image(images: CocoImages):
    """The mean position of a mask keeps its place in its box."""
    sizes = set()
    for seed in range(12):
        image, target = detection_sample(images, seed % 4, {}, 96, np.random.default_rng(seed))
        sizes.add(image.shape[2])
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            ys, xs = torch.nonzero(mask, as_tuple=True)
            assert box[0] - 1.5 <= xs.min() <= box[0] + 1.5
            assert box[2] - 1.5 <= xs.max() + 1 <= box[2] + 1.5
            assert box[1] - 1.5 <= ys.min() <= box[1] + 1.5
    assert 67 <= min(sizes) < max(sizes) <= 96


def test_categories_without_a_class_number_are_unknown(images: CocoImages):
    named = {instance.category for instance in images.instances(0)}
    first = min(filter(None, named))
    _, target = detection_sample(images, 0, {first: 7}, 48, None)
    expected = [7 if instance.category == first else UNKNOWN for instance in images.instances(0)]
    assert target["labels"].tolist() == expected


def test_samples_come_from_all_sets_but_from_no_image_with_a_held_out_category(images: CocoImages, tmp_path: Path):
    (tmp_path / "stills").mkdir()
    write_stills(tmp_path / "stills", SETTINGS)
    stills = open_stills(tmp_path / "stills")
    counts = [0, 0]
    for held_out in (["star"], []):
        samples = DetectionSamples.collect([(images, 1.0), (stills, 2.0)], held_out, {}, 48)
        for number, (source, usable) in enumerate(zip((images, stills), samples.usable, strict=True)):
            shown = [index for index in range(len(source)) if "star" in source.categories_in(index)]
            assert set(usable) == set(range(len(source))) - (set(shown) if held_out else set())
            counts[number] += len(usable)
        assert sum(samples.shares) == pytest.approx(1)
    assert samples.shares == pytest.approx([1 / 3, 2 / 3])  # four images each
    assert min(counts) > 4
    image, target = samples.draw(np.random.default_rng(1))
    assert image.shape[1:] == target["masks"].shape[1:]
