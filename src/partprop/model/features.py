"""The feature maps of a frame, computed once and shared by tracking, correlation and decoding of all objects."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from partprop.model.windows import Window

STRIDE = 8  # pixels per cell of the keys
COARSEST = 32  # stride of P5, the coarsest level in use


class FineFrame(NamedTuple):
    """A past frame at stride 4: unit keys (B, K, H, W) and mask (B, 1, H, W) in [0, 1]."""

    keys: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Features:
    """Feature maps of B frames. Cells outside the encoded window are zero.

    Attributes:
        image: (B, 3, ·, ·), the normalised frame at stride 2.
        p3, p4, p5: (B, C, ·, ·), pyramid levels at strides 8, 16 and 32.
        detail, body, context: decoder inputs from P2, P3 and P4 at strides 4, 8 and 16, see `MaskDecoder.reduce_frame`.
        p3_projection: (B, C, ·, ·), the object-independent part of the values, see `PixelCorrelation.project_p3`.
        keys, fine_keys: (B, K, ·, ·), unit keys at strides 8 and 4.
    """

    image: Tensor
    p3: Tensor
    p4: Tensor
    p5: Tensor
    detail: Tensor
    body: Tensor
    context: Tensor
    p3_projection: Tensor
    keys: Tensor
    fine_keys: Tensor

    @property
    def tracking_levels(self) -> list[Tensor]:
        """P3, P4, P5."""
        return [self.p3, self.p4, self.p5]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the frame in cells of stride 8."""
        return self.keys.shape[2], self.keys.shape[3]

    def fine_frame(self, mask: Tensor) -> FineFrame:
        """The frame at stride 4 with a mask (B, 1, ·, ·) in [0, 1] of any resolution."""
        return FineFrame(self.fine_keys, F.interpolate(mask, size=self.fine_keys.shape[2:], mode="area"))

    def padded_to_frame(self, window: Window, grid: tuple[int, int]) -> "Features":
        """Zero-pad the features of a window to those of the whole frame.

        Args:
            window: rows and columns of the grid of stride COARSEST.
            grid: height and width of the frame in cells of stride COARSEST.
        """
        rows, columns = window
        beside = (columns.start, grid[1] - columns.stop, rows.start, grid[0] - rows.stop)
        if not any(beside):
            return self
        maps = [getattr(self, field.name) for field in fields(self)]
        factors = [cells.shape[2] // (rows.stop - rows.start) for cells in maps]  # cells per cell of the coarsest grid
        return Features(*(F.pad(cells, [n * side for side in beside]) for cells, n in zip(maps, factors, strict=True)))

    def split(self, batch: int) -> "list[Features]":
        """Features of consecutive groups of `batch` frames."""
        maps = (getattr(self, field.name).split(batch) for field in fields(self))
        return [Features(*frame) for frame in zip(*maps, strict=True)]
