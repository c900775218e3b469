"""The boundary of a mask, written as its definition, as a reference for the fast implementation."""

import numpy as np


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from their right, lower or lower right neighbour: bool (H, W) to bool (H, W)."""
    height, width = mask.shape
    result = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            for neighbour in ((y, x + 1), (y + 1, x), (y + 1, x + 1)):
                if neighbour[0] < height and neighbour[1] < width:
                    result[y, x] |= mask[y, x] != mask[neighbour]
    return result
