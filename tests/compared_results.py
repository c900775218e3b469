"""Annotations of three videos and two results for them, which differ in one frame of one video."""

from pathlib import Path

from label_maps import squares, write_label_maps

VIDEOS = ("bear", "boat", "camel")


def write_moved_square(folder: Path, shifts: tuple[int, ...] = (0, 0, 0, 0)) -> None:
    """Write a square, shifted by some pixels to the right in each frame."""
    write_label_maps(folder, [squares((5 + shift, 5)) for shift in shifts])


def write_compared_results(root: Path) -> Path:
    """Write truth/, worse/ and better/; return the root."""
    for name in VIDEOS:
        write_moved_square(root / "truth" / name)
        write_moved_square(root / "worse" / name, (0, 3, 5, 0))
        write_moved_square(root / "better" / name, (0, 3, 0 if name == "boat" else 5, 0))
    return root
