"""Scores of the objects in one frame: J, F and boxes."""

from typing import NamedTuple

import numpy as np

from partprop.data.labels import VOID, ids_with_void, mask_box, object_ids
from partprop.metrics.davis import boundary_f, boundary_radius, jaccard


class FrameScore(NamedTuple):
    """Scores of one object in one frame.

    Attributes:
        j, f: in [0, 1].
        true_box, box: bounding boxes (4,) of the true and the predicted mask; None for an empty mask.
    """

    j: float
    f: float
    true_box: np.ndarray | None
    box: np.ndarray | None


ABSENT = FrameScore(1.0, 1.0, None, None)
"""The score of an object that is in neither mask: the official rule counts J = F = 1."""


def score_frame(truth: np.ndarray, predicted: np.ndarray) -> dict[int, FrameScore]:
    """Score all objects that are in the true or the predicted label map; returned by id.

    Args:
        truth, predicted: uint8 (H, W), 0 background, object ids. Pixels that are 255 (void) in `truth` are ignored.
    """
    numbers = sorted({*object_ids(truth), *ids_with_void(predicted)})
    radius = boundary_radius(truth.shape)
    void = truth == VOID
    return {number: _score(truth == number, predicted == number, void, radius) for number in numbers}


def _score(truth: np.ndarray, predicted: np.ndarray, void: np.ndarray, radius: int) -> FrameScore:
    true_box, box = mask_box(truth), mask_box(predicted)
    window = _window([each for each in (true_box, box) if each is not None])
    masks = predicted[window], truth[window], void[window]
    return FrameScore(jaccard(*masks), boundary_f(*masks, radius=radius), true_box, box)


def _window(boxes: list[np.ndarray]) -> tuple[slice, slice]:
    """The smallest window around all boxes (4,) plus one pixel: it contains both masks and their boundaries."""
    corners = np.array(boxes, dtype=int)
    left, top = np.maximum(corners[:, :2].min(axis=0) - 1, 0)
    right, bottom = corners[:, 2:].max(axis=0) + 1
    return slice(top, bottom), slice(left, right)
