"""Label maps of squares, and videos made of them, for tests of the measures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from partprop.data.labels import write_labels
from partprop.data.video import Video

SHAPE = (40, 60)


def squares(*corners: tuple[int, int], side: int = 10, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A label map, uint8 `shape`, in which the n-th square has id n and its upper left corner at the n-th (x, y)."""
    labels = np.zeros(shape, dtype=np.uint8)
    for number, (x, y) in enumerate(corners, start=1):
        labels[y : y + side, x : x + side] = number
    return labels


def write_label_maps(folder: Path, maps: Sequence[np.ndarray]) -> list[Path]:
    """Write 00000.png, 00001.png, … to a folder; return their paths."""
    files = [folder / f"{index:05d}.png" for index in range(len(maps))]
    for file, labels in zip(files, maps, strict=True):
        write_labels(file, labels)
    return files


def labelled_video(folder: Path, maps: Sequence[np.ndarray], single_object: bool = False) -> Video:
    """A video named after its folder, annotated in every frame; the masks stand in for the images."""
    masks = tuple(write_label_maps(folder, maps))
    return Video(folder.name, tuple(mask.stem for mask in masks), masks, masks, single_object)
