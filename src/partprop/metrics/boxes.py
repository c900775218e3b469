"""Box tracking measures of OTB: success plot and precision plot.

Source: Wu, Lim, Yang, "Online Object Tracking: A Benchmark", CVPR 2013, and its toolkit. A frame is a success if the
overlap is *above* the threshold, so perfect tracking has an AUC of 20/21; it is precise if the centre error is *at
most* the threshold. Boxes are x1, y1, x2, y2 along pixel edges: pixel (x, y) is the box x, y, x + 1, y + 1.
"""

import numpy as np

SUCCESS_THRESHOLDS = np.arange(21) / 20  # overlap, in [0, 1]
PRECISION_THRESHOLDS = np.arange(51)  # centre error, in pixels
PRECISION_AT = 20  # the threshold of the precision that is reported as a number


def overlap(box: np.ndarray | None, true_box: np.ndarray) -> float:
    """Intersection over union of two boxes (4,), in [0, 1]; 0 if `box` is None."""
    if box is None:
        return 0.0
    sides = np.minimum(box[2:], true_box[2:]) - np.maximum(box[:2], true_box[:2])
    intersection = np.prod(np.maximum(sides, 0), dtype=float)
    union = np.prod(box[2:] - box[:2], dtype=float) + np.prod(true_box[2:] - true_box[:2], dtype=float) - intersection
    return float(intersection / union)


def centre_error(box: np.ndarray | None, true_box: np.ndarray) -> float:
    """Distance between the centres of two boxes (4,), in pixels; infinite if `box` is None."""
    if box is None:
        return float("inf")
    return float(np.linalg.norm((box[:2] + box[2:] - true_box[:2] - true_box[2:]) / 2))


def success_curve(overlaps: np.ndarray) -> np.ndarray:
    """Share of frames with an overlap above each of SUCCESS_THRESHOLDS, (21,); overlaps (T,), T at least 1."""
    return (overlaps[:, None] > SUCCESS_THRESHOLDS).mean(axis=0)


def precision_curve(errors: np.ndarray) -> np.ndarray:
    """Share of frames with an error of at most each of PRECISION_THRESHOLDS, (51,); errors (T,) in pixels, T >= 1."""
    return (errors[:, None] <= PRECISION_THRESHOLDS).mean(axis=0)
