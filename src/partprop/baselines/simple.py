"""Baselines without a network: the first mask copied, and the previous mask warped by optical flow.

A baseline takes the frames of a video, uint8 RGB (H, W, 3), and the label map of the first, uint8 (H, W). It yields one
label map per frame, the first included.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np


def first_mask(frames: Iterable[np.ndarray], first_labels: np.ndarray) -> Iterator[np.ndarray]:
    """Repeat the first label map on every frame."""
    for _ in frames:
        yield first_labels


def flow(frames: Iterable[np.ndarray], first_labels: np.ndarray) -> Iterator[np.ndarray]:
    """Warp the label map from frame to frame by optical flow with dense inverse search (DIS).

    The flow depends on OpenCV's number of threads: call `cv2.setNumThreads` first for repeatable results.

    Source: Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016.
    """
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    labels, previous = first_labels, None
    for frame in frames:
        current = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if previous is not None:
            # The backward flow points from each pixel of the current frame to the source of its label.
            displacement = estimator.calc(current, previous, None)  # type: ignore[call-overload]  # None allocates
            labels = warp_labels(labels, displacement)
        previous = current
        yield labels


def warp_labels(labels: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """Warp a label map: each pixel takes the label at its position plus the displacement.

    The indicator of each label is interpolated bilinearly and the largest wins, so ids never blend. Positions outside
    the frame take the label of the nearest border pixel.

    Args:
        labels: uint8 (H, W).
        displacement: float32 (H, W, 2), x and y in pixels.

    Returns:
        uint8 (H, W).
    """
    height, width = labels.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = x + displacement[..., 0], y + displacement[..., 1]
    ids = np.unique(labels)
    indicators = [
        cv2.remap((labels == number).astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for number in ids
    ]
    return ids[np.argmax(indicators, axis=0)]
