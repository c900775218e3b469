"""COCO's average precision and recall of a detector, by pycocotools."""

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from partprop.data.coco import CocoImages, valid_polygons


def detections_as_coco(
    image_id: int, boxes: np.ndarray, scores: np.ndarray, categories: Iterable[int], masks: np.ndarray
) -> list[dict[str, Any]]:
    """An image's detections in COCO's result format.

    Args:
        boxes: (N, 4) xyxy in pixels. scores: (N,) in [0, 1]. categories: N ids of the annotation file.
        masks: bool (N, H, W).
    """
    return [
        {
            "image_id": image_id,
            "category_id": category,
            "bbox": [float(x) for x in (*box[:2], *(box[2:] - box[:2]))],
            "score": float(score),
            "segmentation": coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))),
        }
        for box, score, category, mask in zip(boxes, scores, categories, masks, strict=True)
    ]


def average_precision(images: CocoImages, results: list[dict[str, Any]]) -> dict[str, float]:
    """AP over IoU 0.5 to 0.95 of boxes and masks, and both class-agnostic with AR at 100 detections; all in [0, 1].

    0 where nothing was detected; pycocotools' -1, where nothing is annotated, stays. What is annotated without
    a polygon counts for boxes; a mask that is found there is neither right nor wrong.
    """
    names = ("box_AP", "mask_AP", "agnostic_box_AP", "agnostic_box_AR", "agnostic_mask_AP", "agnostic_mask_AR")
    if not results:
        return dict.fromkeys(names, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables
        boxes, masks = _truth(images, with_masks=False), _truth(images, with_masks=True)
        box, any_box = (_evaluate(boxes, results, "bbox", by_class) for by_class in (True, False))
        mask, any_mask = (_evaluate(masks, results, "segm", by_class) for by_class in (True, False))
    return dict(zip(names, (box[0], mask[0], any_box[0], any_box[8], any_mask[0], any_mask[8]), strict=True))


def _truth(images: CocoImages, with_masks: bool) -> COCO:
    """The annotations with all that pycocotools needs; what the file leaves out is as in `CocoImages.instances`."""
    truth = COCO()
    truth.dataset = {
        "images": [
            dict(zip(("id", "width", "height"), (image_id, *images.size(index)), strict=True))
            for index, image_id in enumerate(images.image_ids)
        ],
        "categories": [{"id": given, "name": images.categories[dense]} for dense, given in images.category_ids.items()],
        "annotations": [
            _completed(annotation, with_masks)
            for index in range(len(images))
            for annotation in images.annotations(index)
        ],
    }
    truth.createIndex()
    return truth


def _completed(annotation: dict[str, Any], with_mask: bool) -> dict[str, Any]:
    left, top, width, height = annotation["bbox"]
    completed = {"iscrowd": 0, "area": width * height} | annotation
    if not with_mask:
        return completed
    region = annotation.get("segmentation") or []
    if isinstance(region, list):
        region = valid_polygons(region)
    if region:
        return completed | {"segmentation": region}
    box = [left, top, left + width, top, left + width, top + height, left, top + height]
    return completed | {"segmentation": [box], "iscrowd": 1}  # pycocotools ignores what it finds in a crowd


def _evaluate(truth: COCO, results: list[dict[str, Any]], kind: str, by_class: bool) -> list[float]:
    """pycocotools' twelve numbers; the first is AP, the ninth AR at 100 detections."""
    evaluation = COCOeval(truth, truth.loadRes(results), kind)
    evaluation.params.useCats = int(by_class)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(value) for value in evaluation.stats]
