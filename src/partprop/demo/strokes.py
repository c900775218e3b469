"""Strokes painted over a frame, converted to a label map: each colour is an object."""

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

MIN_ALPHA = 128  # of a pixel that counts as painted: the rims of strokes are smoothed


def label_strokes(image: np.ndarray, layers: Iterable[np.ndarray], meaning: Meaning) -> np.ndarray:
    """Convert strokes to a label map. Object k has the k-th colour of `OBJECT_COLOURS`.

    Args:
        image: the frame, uint8 (H, W, 3), RGB.
        layers: uint8 (any, any, 4), RGBA, from bottom to top; each is resized to the frame.
        meaning: "the object": painted pixels are the object; "a box": the strokes of a colour span a box in which
            GrabCut finds the object.

    Returns:
        uint8 (H, W), 0 background, object ids.

    Raises:
        UserError: nothing is painted, or an object is hidden by the object of another box.
    """
    painted = np.zeros(image.shape[:2], np.uint8)
    for drawn in layers:
        layer = cv2.resize(drawn, painted.shape[::-1], interpolation=cv2.INTER_NEAREST)
        opaque = layer[..., 3] >= MIN_ALPHA
        painted[opaque] = _nearest_colours(layer[opaque][:, :3])
    ids = object_ids(painted)
    if not ids:
        raise UserError("Nothing is painted yet: paint an object in the first frame.")
    if meaning == "the object":
        return painted
    return _segment_boxes(image, {number: _bounds(painted == number) for number in ids})


def _segment_boxes(image: np.ndarray, boxes: Mapping[int, Box]) -> np.ndarray:
    """The label map of the objects in boxes, uint8 (H, W); objects of smaller boxes are in front.

    Raises:
        UserError: an object is completely hidden.
    """
    labels = np.zeros(image.shape[:2], np.uint8)
    for number in sorted(boxes, key=lambda number: -_area(boxes[number])):
        labels[mask_in_box(image, boxes[number])] = number
    if hidden := set(boxes) - set(object_ids(labels)):
        raise UserError(f"Object {min(hidden)} is hidden by the object of another box: paint it, or remove a box.")
    return labels


def _bounds(mask: np.ndarray) -> Box:
    box = mask_box(mask.astype(np.uint8))
    assert box is not None, "each id is painted"
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2, y2


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1)


def _nearest_colours(pixels: np.ndarray) -> np.ndarray:
    """Number from 1 of the nearest colour in `OBJECT_COLOURS` of each pixel: uint8 (N,) from (N, 3)."""
    distances = np.square(pixels[:, None].astype(int) - np.array(OBJECT_COLOURS)).sum(-1)
    return (distances.argmin(1) + 1).astype(np.uint8)
