"""Mask outlines as COCO polygons."""

import cv2
import numpy as np


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Trace the outline of a mask along pixel edges.

    Args:
        mask: bool or uint8 (H, W); holes are allowed.

    Returns:
        COCO polygons [x1, y1, x2, y2, …] in pixels; pixel (0, 0) spans from 0 to 1. COCO polygons cannot have holes, so
        a region with a hole is cut in two through the hole.
    """
    # In the doubled mask, contour points (pixel centres) show on which side of a border they are.
    doubled = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1).astype(np.uint8)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    holes = (
        [contour for contour, links in zip(contours, hierarchy[0], strict=True) if links[3] >= 0] if contours else []
    )
    if holes:
        x, _, width, _ = cv2.boundingRect(max(holes, key=cv2.contourArea))
        cut = (x + width // 2) // 2
        left, right = np.array(mask), np.array(mask)
        left[:, cut:] = 0
        right[:, :cut] = 0
        return polygons(left) + polygons(right)
    return [((contour.reshape(-1) + 1) // 2).astype(float).tolist() for contour in contours]
