"""Masks, contours and boxes drawn on a frame."""

from collections.abc import Iterable

import cv2
import numpy as np

from partprop.data.labels import object_ids
from partprop.data.tracks import PartBox

WIDTH = 480  # default width of an overlay, in pixels
TRUE_CONTOUR = (240, 228, 66)
PART_BOX = (255, 255, 255)
OBJECT_COLOURS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (0, 114, 178))
"""RGB of object 1, 2, …, repeated: Okabe and Ito's colour-blind-safe palette."""


def overlay(
    image: np.ndarray, predicted: np.ndarray, true: np.ndarray | None, boxes: Iterable[PartBox], width: int = WIDTH
) -> np.ndarray:
    """Draw the result of a frame: tinted masks with contours, boxes, and the true contours in yellow.

    Args:
        image: uint8 (H, W, 3), RGB.
        predicted: label map, uint8 (H, W), 0 background, object ids.
        true: annotated label map, uint8 (H, W), 255 void; None if the frame is not annotated.
        boxes: in pixels of `image`; parts are drawn in white, whole objects (part 0) in the object's colour.
        width: of the overlay, in pixels.

    Returns:
        uint8 (width * H / W, width, 3), RGB.
    """
    scale = width / image.shape[1]
    size = (width, round(image.shape[0] * scale))
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    for number in object_ids(predicted):
        mask = _resize_mask(np.equal(predicted, number), size)
        tint = np.array(_colour(number), dtype=np.float32)
        picture[mask] = (0.55 * picture[mask] + 0.45 * tint).round().astype(np.uint8)
        _outline(picture, mask, _colour(number))
    for part in sorted(boxes, key=lambda part: (part.object_id, -part.part)):
        x1, y1, x2, y2 = (round(side * scale) for side in part.box)
        whole = part.part == 0
        cv2.rectangle(picture, (x1, y1), (x2, y2), _colour(part.object_id) if whole else PART_BOX, 2 if whole else 1)
    if true is not None:
        for number in object_ids(true):
            _outline(picture, _resize_mask(np.equal(true, number), size), TRUE_CONTOUR)
    return picture


def _resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`mask`, bool (H, W), resized to `size` (width, height); enlarged masks get smooth edges."""
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5


def _outline(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, 2, cv2.LINE_AA)


def _colour(number: int) -> tuple[int, int, int]:
    return OBJECT_COLOURS[(number - 1) % len(OBJECT_COLOURS)]
