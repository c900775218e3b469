"""Similarity of each cell of a window to the cells around it in another frame."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.precision import as_multiplied
from partprop.model.readout import barrier, matches, object_cells

BLOCK = 8  # side of the blocks that look at their neighbourhood together; about that, where no blocks are chosen

Sides = tuple[int, int]
"""Rows and columns of a block or a window."""


class Surroundings:
    """What each cell of a window sees of another frame within some rows and columns: FlowNet's displacements.

    Cells are taken in blocks that share their surroundings (HaloNet, Vaswani et al., CVPR 2021), so that the
    correlation is a product of matrices and no pair far apart is computed.

    Args:
        keys: (B, C, h, w), unit length.
        other_keys: (B, C, H, W), unit length.
        offset: row and column of the first grid's origin in the second, within it.
        radius: in cells (Dosovitskiy et al., ICCV 2015, section 3: d).
        temperature: scalar by which cosines are multiplied before the softmax.
        chosen: (B, rows, columns) boolean, of which blocks of BLOCK rows and columns this is asked; of the others, what
            is read is zero. None: of all.
    """

    def __init__(
        self,
        keys: Tensor,
        other_keys: Tensor,
        offset: tuple[int, int],
        radius: int,
        temperature: Tensor,
        chosen: Tensor | None = None,
    ) -> None:
        self._batch, _, self._height, self._width = keys.shape
        self._block = (BLOCK, BLOCK) if chosen is not None else (_block_side(self._height), _block_side(self._width))
        rows, columns = self._block
        self._rows, self._columns = -(-self._height // rows), -(-self._width // columns)
        self._chosen, self._temperature = chosen, temperature
        self._offset, self._radius, self._window = offset, radius, (rows + 2 * radius, columns + 2 * radius)
        padding = (0, self._columns * columns - self._width, 0, self._rows * rows - self._height)
        queries = _blocks(as_multiplied(F.pad(temperature * keys, padding)), self._block, self._block, chosen)
        near = within_radius(self._block, self._window, (radius, radius), radius).to(keys.device)
        self._similarity = queries @ self._around(other_keys).transpose(1, 2)
        self._similarity += barrier(~near, self._similarity)
        if any(_beyond(other_keys.shape[2:], offset, (self._rows * rows, self._columns * columns), radius)):
            exists = self._around(torch.ones_like(other_keys[:, :1]))[..., 0] > 0
            self._similarity += barrier(~exists[:, None], self._similarity)

    def attend(self, known: Tensor) -> Tensor:
        """What is known (B, K, H, W) of the other frame, read by attention: (B, K, h, w)."""
        return self._unblock(self._similarity.softmax(2) @ self._around(known))

    @staticmethod
    def attend_together(frames: "Sequence[tuple[Surroundings, Tensor]]") -> Tensor:
        """What is known (B, K, H, W) of several frames, read by one attention over all of them: (B, K, h, w)."""
        if len(frames) == 1:
            return frames[0][0].attend(frames[0][1])
        similarity = torch.cat([around._similarity for around, _ in frames], 2)
        known = torch.cat([around._around(each) for around, each in frames], 1)
        return frames[0][0]._unblock(similarity.softmax(2) @ known)

    @torch.no_grad()
    def best_matches(self, mask: Tensor) -> Tensor:
        """Match and best cosines (B, 3, h, w), as of `read`, with the other frame's mask (B, 1, H, W)."""
        inside = self._around(object_cells(mask, (1, 2, 3)).to(mask.dtype))[..., 0][:, None] > 0
        return self._unblock(matches(self._similarity, inside, self._temperature))

    def _around(self, cells: Tensor) -> Tensor:
        shape = (self._rows * self._block[0], self._columns * self._block[1])
        surroundings = _surroundings(cells, self._offset, shape, self._radius)
        return _blocks(surroundings, self._window, self._block, self._chosen)

    def _unblock(self, cells: Tensor) -> Tensor:
        if self._chosen is not None:
            some, cells = cells, cells.new_zeros(self._chosen.numel(), *cells.shape[1:])
            cells[self._chosen.flatten()] = some
        cells = cells.view(self._batch, self._rows, self._columns, *self._block, -1).permute(0, 5, 1, 3, 2, 4)
        cells = cells.flatten(4, 5).flatten(2, 3)
        return cells[..., : self._height, : self._width]


def _surroundings(known: Tensor, offset: tuple[int, int], shape: tuple[int, int], radius: int) -> Tensor:
    """The window of known (B, C, H, W) at `offset` with `shape`, `radius` wider on each side; zero outside."""
    (top, left), (rows, columns) = offset, shape
    inner = known[
        :,
        :,
        max(0, top - radius) : top + rows + radius,
        max(0, left - radius) : left + columns + radius,
    ]
    return F.pad(as_multiplied(inner), _beyond(known.shape[2:], offset, shape, radius))


def _beyond(grid: Sequence[int], offset: Sides, shape: Sides, radius: int) -> Sequence[int]:
    """Cells by which a window of a grid, `radius` wider on each side, reaches beyond it: left, right, top, bottom."""
    return [
        max(0, cells)
        for start, length, size in reversed(list(zip(offset, shape, grid, strict=True)))
        for cells in (radius - start, start + length + radius - size)
    ]


def _block_side(length: int) -> int:
    """The side of equal blocks of about BLOCK cells that cover a length and hardly reach beyond it."""
    return math.ceil(length / max(1, round(length / BLOCK)))


def _blocks(cells: Tensor, window: Sides, step: Sides, chosen: Tensor | None) -> Tensor:
    """Windows of a map (B, C, ·, ·), one for every `step` rows and columns, or the chosen of them: (N, area, C)."""
    cells = cells.permute(0, 2, 3, 1).contiguous()  # whole rows of a window are copied at once then
    if chosen is None:
        windows = cells.unfold(1, window[0], step[0]).unfold(2, window[1], step[1])
        return windows.permute(0, 1, 2, 4, 5, 3).flatten(3, 4).flatten(0, 2)
    _, height, width, channels = cells.shape
    video, row, column = chosen.nonzero().unbind(1)
    corner = (video * height + step[0] * row) * width + step[1] * column
    first = corner[:, None] + width * torch.arange(window[0], device=cells.device)  # cell of each row of each window
    strips = cells.flatten().unfold(0, window[1] * channels, channels)  # a window's columns, from each cell on
    return strips.index_select(0, first.flatten()).view(len(corner), window[0] * window[1], channels)


def within_radius(shape: tuple[int, int], other_shape: tuple[int, int], offset: tuple[int, int], radius: int) -> Tensor:
    """Which cells of one grid lie at most `radius` rows and columns from which of another: FlowNet's displacements.

    Args:
        shape: (h, w) of the grid that looks.
        other_shape: (H, W) of the grid that is seen.
        offset: row and column of the first grid's origin in the second.
        radius: in cells (Dosovitskiy et al., ICCV 2015, section 3: d).

    Returns:
        (h·w, H·W) boolean.
    """
    rows, columns = (
        (torch.arange(size)[:, None] + start - torch.arange(other)[None]).abs() <= radius
        for size, other, start in zip(shape, other_shape, offset, strict=True)
    )
    near = rows[:, None, :, None] & columns[None, :, None, :]
    return near.reshape(shape[0] * shape[1], other_shape[0] * other_shape[1])
