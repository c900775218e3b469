"""Masks packed into one integer, one bit per pixel, so that a shift or union handles a whole frame at once.

For contour accuracy, which needs boundaries and their dilations, this is several times as fast as byte arrays.
"""

from dataclasses import dataclass
from functools import cached_property
from math import isqrt

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Layout of packed masks of one size: the pixel in row y, column x is bit `y * stride + x`.

    Attributes:
        height, width: of the masks, in pixels.
        margin: minimum number of unused bits at the end of each row; shifts by up to `margin` stay within the row.
    """

    height: int
    width: int
    margin: int

    @cached_property
    def stride(self) -> int:
        """Bits per row, a multiple of 8 so that rows are whole bytes."""
        return -(-(self.width + self.margin) // 8) * 8

    def pack(self, mask: np.ndarray) -> int:
        """Pack a mask, bool (height, width)."""
        rows = np.zeros((self.height, self.stride // 8), np.uint8)
        rows[:, : -(-self.width // 8)] = np.packbits(mask, axis=1, bitorder="little")
        return int.from_bytes(rows.tobytes(), "little")

    def boundary(self, mask: int) -> int:
        """Pixels that differ from their right, lower or lower right neighbour inside the frame, as a packed mask.

        This boundary lies half a pixel towards the origin; the frame's border is not part of it. Source: `seg2bmap` of
        David Martin's Berkeley segmentation code, which the official DAVIS code uses.
        """
        right, below, diagonal = (mask ^ (mask >> step) for step in (1, self.stride, self.stride + 1))
        above_last = (1 << self.stride * (self.height - 1)) - 1
        return (right & self._left_of_last) | ((below | (diagonal & self._left_of_last)) & above_last)

    def dilate(self, mask: int, radius: int) -> int:
        """Dilate a packed mask by a disk: all pixels within a Euclidean distance of `radius`, at most the margin.

        The result also has bits set in the margins. The disk is built row by row, from its upper and lower ends to its
        middle, from the mask widened to the width of each row.
        """
        spread, reach = mask << radius, 0  # room for pixels to the left of the first one
        above = below = 0
        for row in range(radius, 0, -1):
            half = isqrt(radius * radius - row * row)
            spread, reach = _widen(spread, reach, half), half
            above = (above | spread) << self.stride
            below = (below | spread) >> self.stride
        return (above | below | _widen(spread, reach, radius)) >> radius

    @cached_property
    def _left_of_last(self) -> int:
        row = (1 << (self.width - 1)) - 1
        return int.from_bytes(row.to_bytes(self.stride // 8, "little") * self.height, "little")


def _widen(spread: int, reach: int, wanted: int) -> int:
    """Widen a mask from `reach` to `wanted` pixels on each side."""
    while reach < wanted:
        step = min(wanted - reach, 2 * reach + 1)  # a longer shift would leave gaps
        spread |= (spread << step) | (spread >> step)
        reach += step
    return spread
