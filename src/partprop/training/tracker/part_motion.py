"""Where the parts of an object go in a video whose annotations show the whole object alone: by optical flow."""

from collections.abc import Sequence

import cv2
import numpy as np

FEWEST = 30  # pixels of the object in a part's box
ROUND_TRIP = 0.1  # of a part's sides, by which a pixel may miss its place after flow there and back
AGREEING = 0.6  # share of pixels that must land on the object and come back


def follow(
    parts: np.ndarray, images: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Follow parts from frame to frame by the median DIS flow of their pixels (Kroeger et al., ECCV 2016).

    A part is known until the flow leaves the object, or there and back it disagrees (forward-backward error: Kalal et
    al., ICPR 2010), or too little of the object is in its box.

    Args:
        parts: (P, 4) boxes in the first image.
        images: T of them, uint8 (S, S, 3), RGB.
        masks: uint8 (S, S) in {0, 1}.

    Returns:
        Boxes (T, P, 4), and where they are known, boolean (T, P); others are where they were last known.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    boxes, known = [parts], [np.ones(len(parts), bool)]
    for time in range(1, len(images)):
        there = estimator.calc(grey[time - 1], grey[time], None)  # type: ignore[call-overload]  # None allocates
        back = estimator.calc(grey[time], grey[time - 1], None)  # type: ignore[call-overload]
        moves = [_move(box, there, back, masks[time - 1], masks[time]) for box in boxes[-1]]
        known.append(known[-1] & [move is not None for move in moves])
        shifts = np.stack([np.zeros(2) if move is None else move for move in moves])
        boxes.append(boxes[-1] + np.where(known[-1][:, None], np.tile(shifts, 2), 0))
    return np.stack(boxes), np.stack(known)


def _move(
    box: np.ndarray, there: np.ndarray, back: np.ndarray, mask: np.ndarray, next_mask: np.ndarray
) -> np.ndarray | None:
    """The motion x, y of the object's pixels in a box (4,); None where it is not certain."""
    height, width = mask.shape
    x1, y1, x2, y2 = np.round(box).astype(int).clip(0, (width, height, width, height))
    ys, xs = np.nonzero(mask[y1:y2, x1:x2])
    if len(xs) < FEWEST:
        return None
    pixels = np.stack([xs + x1, ys + y1], 1)
    motions = there[pixels[:, 1], pixels[:, 0]]
    landed = np.round(pixels + motions).astype(int)
    inside = ((landed >= 0) & (landed < (width, height))).all(1)
    landed = landed.clip(0, (width - 1, height - 1))
    missed = np.abs(motions + back[landed[:, 1], landed[:, 0]]) / (box[2:] - box[:2])
    agreeing = inside & (missed < ROUND_TRIP).all(1) & (next_mask[landed[:, 1], landed[:, 0]] > 0)
    return np.median(motions[agreeing], 0) if agreeing.mean() > AGREEING else None
