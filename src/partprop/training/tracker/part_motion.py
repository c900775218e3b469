"""Optical-flow tracks of an object's parts, for videos that annotate only the whole object."""

from collections.abc import Sequence

import cv2
import numpy as np

MIN_PIXELS = 30  # of the object in a part's box
ROUND_TRIP_ERROR = 0.1  # of flow there and back, as a fraction of the part's sides, up to which a pixel agrees
MIN_AGREEING = 0.6  # fraction of the part's pixels that must agree and land on the object


def track_parts(
    parts: np.ndarray, images: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Track parts from frame to frame by the median DIS flow of their pixels (Kroeger et al., ECCV 2016).

    A part is lost for the rest of the clip when the flow leaves the object, when forward and backward flow disagree
    (forward-backward error, Kalal et al., ICPR 2010), or when its box holds too little of the object.

    Args:
        parts: (P, 4) boxes in the first image, xyxy in pixels.
        images: T images, uint8 (S, S, 3), RGB.
        masks: T masks of the object, uint8 (S, S) in {0, 1}.

    Returns:
        Boxes (T, P, 4), and bool (T, P), whether they are tracked; the box of a lost part stays where it was lost.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    boxes, tracked = [parts], [np.ones(len(parts), bool)]
    for time in range(1, len(images)):
        forward = estimator.calc(grey[time - 1], grey[time], None)  # type: ignore[call-overload]  # None allocates
        backward = estimator.calc(grey[time], grey[time - 1], None)  # type: ignore[call-overload]
        moves = [_motion(box, forward, backward, masks[time - 1], masks[time]) for box in boxes[-1]]
        tracked.append(tracked[-1] & [move is not None for move in moves])
        shifts = np.stack([np.zeros(2) if move is None else move for move in moves])
        boxes.append(boxes[-1] + np.where(tracked[-1][:, None], np.tile(shifts, 2), 0))
    return np.stack(boxes), np.stack(tracked)


def _motion(
    box: np.ndarray, forward: np.ndarray, backward: np.ndarray, mask: np.ndarray, next_mask: np.ndarray
) -> np.ndarray | None:
    """Return the median motion x, y of the object's pixels in a box (4,); None if it is unreliable.

    Args:
        forward: flow (S, S, 2) from this frame to the next.
        backward: flow (S, S, 2) from the next frame to this one.
    """
    height, width = mask.shape
    x1, y1, x2, y2 = np.round(box).astype(int).clip(0, (width, height, width, height))
    ys, xs = np.nonzero(mask[y1:y2, x1:x2])
    if len(xs) < MIN_PIXELS:
        return None
    pixels = np.stack([xs + x1, ys + y1], 1)
    motions = forward[pixels[:, 1], pixels[:, 0]]
    landed = np.round(pixels + motions).astype(int)
    inside = ((landed >= 0) & (landed < (width, height))).all(1)
    landed = landed.clip(0, (width - 1, height - 1))
    error = np.abs(motions + backward[landed[:, 1], landed[:, 0]]) / (box[2:] - box[:2])
    agreeing = inside & (error < ROUND_TRIP_ERROR).all(1) & (next_mask[landed[:, 1], landed[:, 0]] > 0)
    return np.median(motions[agreeing], 0) if agreeing.mean() > MIN_AGREEING else None
