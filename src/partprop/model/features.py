"""What the one pass over a frame gives: the feature maps that tracking, correlation and decoding share."""

from dataclasses import dataclass, fields

import torch.nn.functional as F
from torch import Tensor

from partprop.model.correlation import FineFrame
from partprop.model.windows import Window

STRIDE = 8  # of the keys
COARSEST = 32  # stride of P5, the coarsest level that is used


@dataclass(frozen=True)
class Features:
    """A frame's image (B, 3, ·, ·) at stride 2, pyramid levels (B, C, ·, ·), unit keys (B, K, ·, ·) at strides 8, 4.

    detail, body and context are what the decoder sees of P2, P3 and P4, as of `MaskDecoder.prepare_frame`; look is what
    values hold of P3, as of `PixelCorrelation.look`. Where a frame was not encoded, all are zero.
    """

    image: Tensor
    p3: Tensor
    p4: Tensor
    p5: Tensor
    detail: Tensor
    body: Tensor
    context: Tensor
    look: Tensor
    keys: Tensor
    fine_keys: Tensor

    @property
    def tracking_levels(self) -> list[Tensor]:
        """P3, P4, P5."""
        return [self.p3, self.p4, self.p5]

    def seen_fine(self, mask: Tensor) -> FineFrame:
        """The frame at stride 4 with a mask (B, 1, ·, ·) in [0, 1] of any resolution."""
        return FineFrame(self.fine_keys, F.interpolate(mask, size=self.fine_keys.shape[2:], mode="area"))

    def placed(self, window: Window, grid: tuple[int, int]) -> "Features":
        """Of features of a window those of the whole frame: zero outside.

        Args:
            window: rows and columns of the grid of stride COARSEST.
            grid: rows and columns that the frame has of it.
        """
        rows, columns = window
        beside = (columns.start, grid[1] - columns.stop, rows.start, grid[0] - rows.stop)
        if not any(beside):
            return self
        maps = [getattr(self, field.name) for field in fields(self)]
        each = [cells.shape[2] // (rows.stop - rows.start) for cells in maps]  # cells of each map in one of the grid
        return Features(*(F.pad(cells, [side * n for n in beside]) for cells, side in zip(maps, each, strict=True)))

    def split(self, batch: int) -> "list[Features]":
        """Features of `batch` frames each."""
        maps = (getattr(self, field.name).split(batch) for field in fields(self))
        return [Features(*frame) for frame in zip(*maps, strict=True)]
