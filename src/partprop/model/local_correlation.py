"""Correlation of each cell of a window with its neighbourhood in another frame."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from partprop.model.precision import cast_for_matmul
from partprop.model.readout import ReadOut, best_matches, exclusion, object_cells

BLOCK = 8  # side of the blocks of cells that share a neighbourhood; approximate where all blocks are read

Sides = tuple[int, int]
"""Rows and columns of a block or a window."""


class LocalCorrelation:
    """Similarity of each cell to the cells within a radius in another frame, as FlowNet's correlation layer.

    Cells are grouped into blocks with a common neighbourhood (HaloNet, Vaswani et al., CVPR 2021): the correlation is a
    matrix product, and no distant pair is computed.

    Args:
        keys: (B, C, h, w), unit length.
        other_keys: (B, C, H, W), unit length.
        offset: row and column of the first grid's origin in the second, inside it.
        radius: in cells (Dosovitskiy et al., ICCV 2015, section 3: d).
        temperature: inverse temperature, the scalar by which cosines are multiplied before the softmax.
        chosen: boolean (B, rows, columns), which blocks of BLOCK × BLOCK cells to read; elsewhere results are zero.
            None reads all.
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
        queries = _blocks(cast_for_matmul(F.pad(temperature * keys, padding)), self._block, self._block, chosen)
        near = within_radius(self._block, self._window, (radius, radius), radius).to(keys.device)
        self._similarity = queries @ self._neighbours(other_keys).transpose(1, 2)
        self._similarity += exclusion(~near, self._similarity)
        if any(_beyond(other_keys.shape[2:], offset, (self._rows * rows, self._columns * columns), radius)):
            exists = self._neighbours(torch.ones_like(other_keys[:, :1]))[..., 0] > 0
            self._similarity += exclusion(~exists[:, None], self._similarity)

    def read(self, values: Tensor) -> ReadOut:
        """Read the other frame's values and mask (B, V + 1, H, W), mask last, at each cell (h, w)."""
        attended = self.attend(values)
        best = self.best_matches(values[:, -1:])
        return ReadOut(attended[:, :-1], attended[:, -1:], *best.split(1, 1))

    def attend(self, known: Tensor) -> Tensor:
        """Read maps (B, K, H, W) of the other frame by attention: (B, K, h, w)."""
        return self._unblock(self._similarity.softmax(2) @ self._neighbours(known))

    @staticmethod
    def attend_jointly(frames: "Sequence[tuple[LocalCorrelation, Tensor]]") -> Tensor:
        """Read maps (B, K, H, W) of several frames by one attention over all of them: (B, K, h, w)."""
        if len(frames) == 1:
            return frames[0][0].attend(frames[0][1])
        similarity = torch.cat([frame._similarity for frame, _ in frames], 2)
        known = torch.cat([frame._neighbours(each) for frame, each in frames], 1)
        return frames[0][0]._unblock(similarity.softmax(2) @ known)

    @torch.no_grad()
    def best_matches(self, mask: Tensor) -> Tensor:
        """Match, object cosine and best cosine (B, 3, h, w) for the other frame's mask (B, 1, H, W)."""
        inside = self._neighbours(object_cells(mask, (1, 2, 3)).to(mask.dtype))[..., 0][:, None] > 0
        return self._unblock(best_matches(self._similarity, inside, self._temperature))

    def _neighbours(self, cells: Tensor) -> Tensor:
        """The neighbourhoods of all blocks (N, area, K) in a map (B, K, H, W) of the other frame."""
        shape = (self._rows * self._block[0], self._columns * self._block[1])
        padded = _padded_window(cells, self._offset, shape, self._radius)
        return _blocks(padded, self._window, self._block, self._chosen)

    def _unblock(self, cells: Tensor) -> Tensor:
        """Blocks (N, area, K) as a map (B, K, h, w)."""
        if self._chosen is not None:
            some, cells = cells, cells.new_zeros(self._chosen.numel(), *cells.shape[1:])
            cells[self._chosen.flatten()] = some
        cells = rearrange(
            cells,
            "(batch row column) (y x) channel -> batch channel (row y) (column x)",
            batch=self._batch,
            row=self._rows,
            y=self._block[0],
        )
        return cells[..., : self._height, : self._width]


def _padded_window(known: Tensor, offset: tuple[int, int], shape: tuple[int, int], radius: int) -> Tensor:
    """Crop a map (B, C, H, W) to a window at `offset` with `shape`, `radius` wider on each side; zero outside."""
    (top, left), (rows, columns) = offset, shape
    inner = known[
        :,
        :,
        max(0, top - radius) : top + rows + radius,
        max(0, left - radius) : left + columns + radius,
    ]
    return F.pad(cast_for_matmul(inner), _beyond(known.shape[2:], offset, shape, radius))


def _beyond(grid: Sequence[int], offset: Sides, shape: Sides, radius: int) -> Sequence[int]:
    """Cells by which a window, `radius` wider on each side, exceeds its grid: left, right, top, bottom."""
    return [
        max(0, cells)
        for start, length, size in reversed(list(zip(offset, shape, grid, strict=True)))
        for cells in (radius - start, start + length + radius - size)
    ]


def _block_side(length: int) -> int:
    """Side of equal blocks of about BLOCK cells that cover a length with little excess."""
    return math.ceil(length / max(1, round(length / BLOCK)))


def _blocks(cells: Tensor, window: Sides, step: Sides, chosen: Tensor | None) -> Tensor:
    """Windows of a map (B, C, ·, ·) every `step` rows and columns, or the chosen ones: (N, area, C)."""
    cells = rearrange(cells, "batch channel y x -> batch y x channel").contiguous()  # rows of a window are copied whole
    if chosen is None:
        windows = cells.unfold(1, window[0], step[0]).unfold(2, window[1], step[1])
        return rearrange(windows, "batch row column channel y x -> (batch row column) (y x) channel")
    _, height, width, channels = cells.shape
    video, row, column = chosen.nonzero().unbind(1)
    corner = (video * height + step[0] * row) * width + step[1] * column
    first = corner[:, None] + width * torch.arange(window[0], device=cells.device)  # cell of each row of each window
    strips = cells.flatten().unfold(0, window[1] * channels, channels)  # a window's columns, starting at each cell
    return strips.index_select(0, first.flatten()).view(len(corner), window[0] * window[1], channels)


def within_radius(shape: tuple[int, int], other_shape: tuple[int, int], offset: tuple[int, int], radius: int) -> Tensor:
    """Which cells of two grids lie within `radius` rows and columns of each other: FlowNet's displacements.

    Args:
        shape: (h, w) of the first grid.
        other_shape: (H, W) of the second grid.
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
