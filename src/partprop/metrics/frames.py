"""What is measured in one frame: J, F and the boxes of each object."""

from typing import NamedTuple

import numpy as np

from partprop.data.labels import VOID, ids_with_void, mask_box, object_ids
from partprop.metrics.davis import boundary_f, boundary_radius, jaccard


class FrameScore(NamedTuple):
    """Of an object in a frame. j, f in [0, 1]; the boxes around true and predicted mask, (4,), None around nothing."""

    j: float
    f: float
    true_box: np.ndarray | None
    box: np.ndarray | None


ABSENT = FrameScore(1.0, 1.0, None, None)
"""That of an object which neither mask shows."""


def score_frame(truth: np.ndarray, predicted: np.ndarray) -> dict[int, FrameScore]:
    """Scores of the objects that truth or prediction shows, by id.

    Args:
        truth, predicted: uint8 (H, W), 0 background, object ids; 255 in the truth is void and counts for neither mask.
    """
    numbers = sorted({*object_ids(truth), *ids_with_void(predicted)})
    radius = boundary_radius(truth.shape)
    void = truth == VOID
    return {number: _score(truth == number, predicted == number, void, radius) for number in numbers}


def _score(truth: np.ndarray, predicted: np.ndarray, void: np.ndarray, radius: int) -> FrameScore:
    true_box, box = mask_box(truth), mask_box(predicted)
    near = _window([each for each in (true_box, box) if each is not None])
    masks = predicted[near], truth[near], void[near]
    return FrameScore(jaccard(*masks), boundary_f(*masks, radius=radius), true_box, box)


def _window(boxes: list[np.ndarray]) -> tuple[slice, slice]:
    """What holds all boxes (4,) and a pixel around them: outside, neither mask has area or boundary."""
    corners = np.array(boxes, dtype=int)
    left, top = np.maximum(corners[:, :2].min(axis=0) - 1, 0)
    right, bottom = corners[:, 2:].max(axis=0) + 1
    return slice(top, bottom), slice(left, right)
