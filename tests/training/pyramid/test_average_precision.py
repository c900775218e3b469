"""Average precision matches pycocotools on complete files; missing optional keys have their defaults."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from partprop.data.coco import CocoImages, open_coco
from partprop.params import SyntheticData
from partprop.synthetic import write_coco
from partprop.training.pyramid.average_precision import average_precision, to_coco_results

SETTINGS = SyntheticData(
    seed=5, width=96, height=64, train_images=1, val_images=6, still_images=4, train_videos=1, val_videos=1, frames=8
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path, SETTINGS)
    return tmp_path


def rewrite(root: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> CocoImages:
    file = root / "annotations/instances_val2017.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "annotations": [change(entry) for entry in content["annotations"]]}))
    return open_coco(root, "val2017")


def detections(images: CocoImages, shift: int = 0) -> list[dict[str, Any]]:
    """The ground truth shifted to the right by `shift` pixels, with scores 0.9 and 0.6 in turn."""
    numbers = {images.categories[dense]: given for dense, given in images.category_ids.items()}
    found = []
    for index, image_id in enumerate(images.image_ids):
        instances = [each for each in images.instances(index) if each.mask is not None]
        boxes = np.array([each.box_xyxy + np.array([shift, 0, shift, 0]) for each in instances]).reshape(-1, 4)
        scores = np.array([0.9 - 0.3 * (number % 2) for number in range(len(instances))])
        masks = np.array([np.roll(each.mask, shift, 1) for each in instances if each.mask is not None], bool)
        found += to_coco_results(image_id, boxes, scores, [numbers[each.category] for each in instances], masks)
    return found


def test_scores_of_a_complete_file_match_pycocotools(root: Path):
    images = open_coco(root, "val2017")
    found = detections(images, 4)
    scores = average_precision(images, found)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(root / "annotations/instances_val2017.json"))
        for kind, names in (("bbox", ("box_AP", "agnostic_box_AP")), ("segm", ("mask_AP", "agnostic_mask_AP"))):
            for by_class, name in enumerate(reversed(names)):
                evaluation = COCOeval(truth, truth.loadRes(found), kind)
                evaluation.params.useCats = by_class
                evaluation.evaluate()
                evaluation.accumulate()
                evaluation.summarize()
                assert scores[name] == evaluation.stats[0]
    assert 0 < scores["mask_AP"] < 1


def test_the_ground_truth_scores_one(root: Path):
    images = open_coco(root, "val2017")
    assert set(average_precision(images, detections(images)).values()) == {1.0}


@pytest.mark.parametrize("key", ["area", "iscrowd"])
def test_optional_keys_may_be_missing(root: Path, key: str):
    complete = open_coco(root, "val2017")
    expected = average_precision(complete, detections(complete, 4))
    images = rewrite(root, lambda entry: {name: value for name, value in entry.items() if name != key})
    assert average_precision(images, detections(images, 4)) == expected


@pytest.mark.parametrize("segmentation", [None, [], [[1, 1, 5, 5]]])
def test_instances_without_polygons_count_for_boxes_only(root: Path, segmentation: list | None):
    found = detections(open_coco(root, "val2017"))
    images = rewrite(root, lambda entry: {**entry, "segmentation": segmentation})
    scores = average_precision(images, found)
    assert scores["box_AP"] == 1.0
    assert scores["mask_AP"] == -1.0
