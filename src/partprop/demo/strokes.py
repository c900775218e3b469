"""What a user paints over a frame, as a label map: a colour for each object."""

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np

from partprop.data.labels import mask_box
from partprop.errors import UserError
from partprop.evaluation.frames import object_ids
from partprop.media.prompts import mask_in_box
from partprop.report.overlays import OBJECTS

Meaning = Literal["the object", "a box"]

OPAQUE = 128  # alpha from which a pixel of a stroke counts; its rim is smoothed


def label_strokes(image: np.ndarray, layers: Iterable[np.ndarray], meaning: Meaning) -> np.ndarray:
    """The label map (H, W), uint8, that strokes mean; object k has the k-th colour of `OBJECTS`.

    Args:
        image: the frame, uint8 (H, W, 3), RGB.
        layers: uint8 (·, ·, 4), RGBA, stretched over the frame, in the order in which they lie over each other.
        meaning: what is painted is the object, or it spans a box, in which GrabCut finds the object.

    Raises:
        UserError: nothing is painted.
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
    labels = np.zeros_like(painted)
    for number in ids:
        box = mask_box((painted == number).astype(np.uint8))
        assert box is not None, "a colour that is there"
        x1, y1, x2, y2 = map(float, box)
        labels[mask_in_box(image, (x1, y1, x2, y2))] = number
    return labels


def _nearest(pixels: np.ndarray) -> np.ndarray:
    """Number, from 1, of the colour of `OBJECTS` that is nearest to each of the pixels (N, 3)."""
    distances = np.square(pixels[:, None].astype(int) - np.array(OBJECTS)).sum(-1)
    return (distances.argmin(1) + 1).astype(np.uint8)
