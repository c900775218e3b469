"""COCO's average precision and recall of a detector, by pycocotools."""

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from partprop.data.coco import CocoImages


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

    0 where nothing was detected; pycocotools' -1, where nothing is annotated, stays.
    """
    names = ("box_AP", "mask_AP", "agnostic_box_AP", "agnostic_box_AR", "agnostic_mask_AP", "agnostic_mask_AR")
    if not results:
        return dict.fromkeys(names, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables
        truth = COCO(str(images.annotation_file))
        found = truth.loadRes(results)
        box, mask = (_evaluate(truth, found, kind, by_class=True) for kind in ("bbox", "segm"))
        any_box, any_mask = (_evaluate(truth, found, kind, by_class=False) for kind in ("bbox", "segm"))
    return dict(zip(names, (box[0], mask[0], any_box[0], any_box[8], any_mask[0], any_mask[8]), strict=True))


def _evaluate(truth: COCO, found: COCO, kind: str, by_class: bool) -> list[float]:
    """pycocotools' twelve numbers; the first is AP, the ninth AR at 100 detections."""
    evaluation = COCOeval(truth, found, kind)
    evaluation.params.useCats = int(by_class)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [float(value) for value in evaluation.stats]
