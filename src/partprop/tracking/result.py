"""Inputs and results of the online loop for one frame."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import object_ids
from partprop.data.tracks import PartBox


@dataclass(frozen=True)
class Result:
    """Result of a frame; arrays have the input's resolution.

    Attributes:
        labels: uint8 (H, W), object ids, 0 background.
        boxes: of all visible objects and their parts.
        probabilities: float32 (H, W) in [0, 1] by object id.
        confidence: in [0, 1] by object id; 0 where the object is lost.
    """

    labels: np.ndarray
    boxes: list[PartBox]
    probabilities: dict[int, np.ndarray]
    confidence: dict[int, float]


def require_arrays(image: np.ndarray, labels: np.ndarray | None) -> None:
    """Check a frame, uint8 (H, W, 3), and its masks, if any: uint8 or bool (H, W), not all void.

    Raises:
        UserError: type, dtype or shape is wrong, or the masks hold void only.
    """
    for what, array in (("frame", image), ("masks", labels)):
        if not isinstance(array, np.ndarray) and (array is not None or what == "frame"):
            raise UserError(f"{what}: {type(array).__name__} instead of a NumPy array; convert it: np.asarray(...)")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise UserError(f"frame: {image.dtype} {image.shape}; pass uint8 (height, width, 3), RGB")
    if labels is None:
        return
    if labels.dtype not in (np.uint8, np.bool_) or labels.ndim != 2:
        raise UserError(f"masks: {labels.dtype} {labels.shape}; pass uint8 (height, width) with object ids")
    if labels.shape != image.shape[:2]:
        (height, width), (frame_height, frame_width) = labels.shape, image.shape[:2]
        raise UserError(
            f"masks: {width}x{height} pixels on a frame of {frame_width}x{frame_height}; resize them: "
            f"cv2.resize(labels, ({frame_width}, {frame_height}), interpolation=cv2.INTER_NEAREST)"
        )
    if labels.dtype == np.uint8 and labels.any() and not object_ids(labels):
        raise UserError("masks: only the values 0 and 255 (void); for a white object pass mask > 0")


def with_given(result: Result, given: np.ndarray, segmented: Collection[int]) -> Result:
    """Put given masks, label map (H, W), into a result unchanged.

    Args:
        segmented: ids of the objects that are segmented from here on. Other given objects are too small for the working
            resolution: they get confidence 0 and no boxes.
    """
    labels, probabilities = result.labels.copy(), dict(result.probabilities)
    ids = object_ids(given)
    for number in ids:
        mask = given == number
        labels[labels == number] = 0
        labels[mask] = number
        probabilities[number] = mask.astype(np.float32)
    too_small = {number: 0.0 for number in ids if number not in segmented}
    boxes = [box for box in result.boxes if box.object_id not in too_small]
    return Result(labels, boxes, probabilities, result.confidence | too_small)
