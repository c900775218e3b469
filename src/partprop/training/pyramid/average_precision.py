"""COCO's average precision (AP) and average recall (AR) of a detector, computed by pycocotools."""

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from partprop.data.coco import CocoImages, valid_polygons


def to_coco_results(
    image_id: int, boxes: np.ndarray, scores: np.ndarray, categories: Iterable[int], masks: np.ndarray
) -> list[dict[str, Any]]:
    """Return the N detections of an image in COCO's result format.

    Args:
        boxes: (N, 4) xyxy in pixels.
        scores: (N,) in [0, 1].
        categories: N category ids of the annotation file.
        masks: bool (N, H, W), at the image's size.
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
    """Return AP of boxes and masks over IoU 0.5 to 0.95, and class-agnostic AP and AR at 100 detections, in [0, 1].

    All are 0 without detections. A measure without annotations is -1, as in pycocotools. An instance annotated without
    a polygon counts for boxes; a mask detected there is ignored.

    Args:
        results: as returned by `to_coco_results`, of all images.

    Returns:
        "box_AP", "mask_AP", "agnostic_box_AP", "agnostic_box_AR", "agnostic_mask_AP" and "agnostic_mask_AR".
    """
    names = ("box_AP", "mask_AP", "agnostic_box_AP", "agnostic_box_AR", "agnostic_mask_AP", "agnostic_mask_AR")
    if not results:
        return dict.fromkeys(names, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables
        boxes, masks = _ground_truth(images, with_masks=False), _ground_truth(images, with_masks=True)
        box, any_box = (_evaluate(boxes, results, "bbox", by_class) for by_class in (True, False))
        mask, any_mask = (_evaluate(masks, results, "segm", by_class) for by_class in (True, False))
    return dict(zip(names, (box[0], mask[0], any_box[0], any_box[8], any_mask[0], any_mask[8]), strict=True))


def _ground_truth(images: CocoImages, with_masks: bool) -> COCO:
    """Return the annotations with all keys that pycocotools needs, defaults as in `CocoImages.instances`."""
    truth = COCO()
    truth.dataset = {
        "images": [
            dict(zip(("id", "width", "height"), (image_id, *images.size(index)), strict=True))
            for index, image_id in enumerate(images.image_ids)
        ],
        "categories": [{"id": given, "name": images.categories[dense]} for dense, given in images.category_ids.items()],
        "annotations": [
            _complete(annotation, with_masks)
            for index in range(len(images))
            for annotation in images.annotations(index)
        ],
    }
    truth.createIndex()
    return truth


def _complete(annotation: dict[str, Any], with_mask: bool) -> dict[str, Any]:
    """Add the missing optional keys to an annotation. With masks, one without a polygon becomes a crowd of its box."""
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
    return completed | {"segmentation": [box], "iscrowd": 1}  # pycocotools ignores detections in a crowd


def _evaluate(truth: COCO, results: list[dict[str, Any]], kind: str, by_class: bool) -> list[float]:
    """Return the twelve numbers of pycocotools' summary; number 0 is AP, number 8 is AR at 100 detections.

    Args:
        kind: "bbox" or "segm".
        by_class: False ignores the categories.
    """
    evaluation = COCOeval(truth, truth.loadRes(results), kind)
    evaluation.params.useCats = int(by_class)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(value) for value in evaluation.stats]
