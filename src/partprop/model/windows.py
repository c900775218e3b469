"""Windows of a frame's grids of cells."""

from collections.abc import Sequence

from torch import Tensor

Window = tuple[slice, slice]
"""Rows and columns of a grid."""

STEP = 4  # cells at stride 8 of which the sides of windows are multiples


def grown(window: Window, cells: int, grid: Sequence[int]) -> Window:
    """A window with `cells` more on each side, as far as the grid of (height, width) cells goes."""
    rows, columns = (
        slice(max(0, part.start - cells), min(size, part.stop + cells)) for part, size in zip(window, grid, strict=True)
    )
    return rows, columns


def evened(window: Window, step: int, grid: Sequence[int]) -> Window:
    """A window widened to sides that are multiples of `step` cells, as far as the grid of (height, width) cells goes.

    So that few sizes occur in a video: oneDNN compiles each operation, and keeps it, for each size of its inputs.
    """
    rows, columns = (_evened(part, step, size) for part, size in zip(window, grid, strict=True))
    return rows, columns


def _evened(part: slice, step: int, size: int) -> slice:
    length = min(size, -(-(part.stop - part.start) // step) * step)
    start = min(part.start, size - length)
    return slice(start, start + length)


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
