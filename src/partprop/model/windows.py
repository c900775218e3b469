"""Windows of a frame's grids of cells."""

from collections.abc import Sequence

from torch import Tensor

Window = tuple[slice, slice]
"""Rows and columns of a grid; both slices have a start and a stop."""


def whole_window(grid: Sequence[int]) -> Window:
    """The window that covers a grid of (height, width) cells."""
    return slice(0, grid[0]), slice(0, grid[1])


def origin(window: Window) -> tuple[int, int]:
    """Row and column of a window's first cell."""
    return window[0].start, window[1].start


def grown(window: Window, cells: int, grid: Sequence[int]) -> Window:
    """A window with `cells` more on each side, clipped to a grid of (height, width) cells."""
    rows, columns = (
        slice(max(0, part.start - cells), min(size, part.stop + cells)) for part, size in zip(window, grid, strict=True)
    )
    return rows, columns


def scaled(window: Window, factor: int) -> Window:
    """The same window on a grid that is `factor` times as fine along each side."""
    rows, columns = (slice(factor * part.start, factor * part.stop) for part in window)
    return rows, columns


def within(window: Window, outer: Window) -> Window:
    """A window in the coordinates of an outer window that contains it."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(window, outer, strict=True)
    )
    return rows, columns


def cut(cells: Tensor, window: Window) -> Tensor:
    """Crop a map (B, C, H, W) to a window."""
    return cells[:, :, window[0], window[1]]
