"""Windows of a frame's grids of cells."""

from collections.abc import Sequence

from torch import Tensor

Window = tuple[slice, slice]
"""Rows and columns of a grid."""


def grown(window: Window, cells: int, grid: Sequence[int]) -> Window:
    """A window with `cells` more on each side, as far as the grid of (height, width) cells goes."""
    rows, columns = (
        slice(max(0, part.start - cells), min(size, part.stop + cells)) for part, size in zip(window, grid, strict=True)
    )
    return rows, columns


def scaled(window: Window, factor: int) -> Window:
    """The same window on a grid with `factor` cells for each of this one's, along each side."""
    rows, columns = (slice(factor * part.start, factor * part.stop) for part in window)
    return rows, columns


def within(window: Window, holder: Window) -> Window:
    """A window as one of the window that holds it."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(window, holder, strict=True)
    )
    return rows, columns


def cut(cells: Tensor, window: Window) -> Tensor:
    """The window of a map (B, C, H, W)."""
    return cells[:, :, window[0], window[1]]
