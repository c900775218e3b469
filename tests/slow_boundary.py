"""The boundary of a mask as its definition reads, to check the fast one against."""

import numpy as np


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from a neighbour to the right, below or both, neighbour by neighbour."""
    height, width = mask.shape
    result = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            for neighbour in ((y, x + 1), (y + 1, x), (y + 1, x + 1)):
                if neighbour[0] < height and neighbour[1] < width:
                    result[y, x] |= mask[y, x] != mask[neighbour]
    return result
