"""What a user paints over a frame, as a label map: a colour for each object."""

from collections.abc import Iterable, Mapping
from typing import Literal

import cv2
import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import mask_box, object_ids
from partprop.media.drawing import OBJECT_COLOURS
from partprop.segment.prompts import mask_in_box

Meaning = Literal["the object", "a box"]
Box = tuple[float, float, float, float]

OPAQUE = 128  # alpha from which a pixel of a stroke counts; its rim is smoothed


def label_strokes(image: np.ndarray, layers: Iterable[np.ndarray], meaning: Meaning) -> np.ndarray:
    """The label map (H, W), uint8, that strokes mean; object k has the k-th colour of `OBJECT_COLOURS`.

    Args:
        image: the frame, uint8 (H, W, 3), RGB.
        layers: uint8 (·, ·, 4), RGBA, stretched over the frame, in the order in which they lie over each other.
        meaning: what is painted is the object, or it spans a box, in which GrabCut finds the object.

    Raises:
        UserError: nothing is painted, or nothing is left of an object in a box beside that of another.
    """
    painted = np.zeros(image.shape[:2], np.uint8)
    for drawn in layers:
        layer = cv2.resize(drawn, painted.shape[::-1], interpolation=cv2.INTER_NEAREST)
        there = layer[..., 3] >= OPAQUE
        painted[there] = _nearest(layer[there][:, :3])
    ids = object_ids(painted)
    if not ids:
        raise UserError("Nothing is painted yet: paint an object in the first frame.")
    if meaning == "the object":
        return painted
    return _in_boxes(image, {number: _box(painted == number) for number in ids})


def _in_boxes(image: np.ndarray, boxes: Mapping[int, Box]) -> np.ndarray:
    """The label map (H, W) of the objects in boxes; what a box holds lies over what is in a larger one.

    Raises:
        UserError: nothing is left of an object.
    """
    labels = np.zeros(image.shape[:2], np.uint8)
    for number in sorted(boxes, key=lambda number: -_area(boxes[number])):
        labels[mask_in_box(image, boxes[number])] = number
    if hidden := set(boxes) - set(object_ids(labels)):
        raise UserError(f"Object {min(hidden)} is hidden by that of another box: paint it instead, or leave one out.")
    return labels


def _box(mask: np.ndarray) -> Box:
    box = mask_box(mask.astype(np.uint8))
    assert box is not None, "a colour that is there"
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2, y2


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1)


def _nearest(pixels: np.ndarray) -> np.ndarray:
    """Number, from 1, of the colour of `OBJECT_COLOURS` that is nearest to each of the pixels (N, 3)."""
    distances = np.square(pixels[:, None].astype(int) - np.array(OBJECT_COLOURS)).sum(-1)
    return (distances.argmin(1) + 1).astype(np.uint8)
