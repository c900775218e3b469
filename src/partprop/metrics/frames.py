"""What is measured in one frame: J, F and the boxes of each object."""

from typing import NamedTuple

import cv2
import numpy as np

from partprop.data.labels import VOID, mask_box
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
    numbers = sorted({*object_ids(truth), *_ids(predicted)})
    radius = boundary_radius(truth.shape)
    void = truth == VOID
    return {number: _score(truth == number, predicted == number, void, radius) for number in numbers}


def object_ids(labels: np.ndarray) -> list[int]:
    """The ids in a label map, uint8 (H, W), without background and void, in order."""
    return [number for number in _ids(labels) if number != VOID]


def _ids(labels: np.ndarray) -> list[int]:
    highest = int(labels.max())
    if highest <= 1:  # most often so, and the histogram takes ten times as long
        return [1] * highest
    counts = cv2.calcHist([labels], [0], None, [VOID + 1], [0, VOID + 1]).ravel()
    return [int(number) for number in np.flatnonzero(counts) if number]


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
