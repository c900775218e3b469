"""Still images with masks side by side: <set>/**/<name>.jpg beside <name>.png, and optionally an index.csv.

This is the layout of the `static/` folder on which STCN, XMem and Cutie pre-train. The first folder names the set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from partprop.base.errors import UserError
from partprop.base.files import read_csv
from partprop.data.images import image_size, open_image, read_rgb
from partprop.data.instances import Instance
from partprop.data.labels import MAX_GREY_ID, VOID, mask_box, object_ids, read_labels

INDEX = "index.csv"
INDEX_COLUMNS = ("group", "name", "categories")
IMAGE_SUFFIXES, MASK_SUFFIX = (".jpg", ".jpeg"), ".png"
SOFT_EDGE = 128  # grey values from here on are object in a mask with soft edges


@dataclass(frozen=True)
class StillImages:
    """Still images and the masks of their objects; open with `open_stills`.

    Attributes:
        files: the images, in the order of their names.
        masks: the mask file of each image; it may be missing.
        categories: of each image's objects in the order of their ids; None without an entry in index.csv.
        origin: index.csv, or the folder if there is none.
    """

    files: Sequence[Path]
    masks: Sequence[Path]
    categories: Sequence[tuple[str, ...] | None]
    origin: Path

    def __len__(self) -> int:
        return len(self.files)

    def image(self, index: int) -> np.ndarray:
        """Read the image at a position: uint8 (H, W, 3), RGB.

        Raises:
            UserError: the file is missing or corrupt.
        """
        return read_rgb(self.files[index])

    def categories_in(self, index: int) -> tuple[str, ...]:
        """The categories of the image at a position; none if they are unknown."""
        return self.categories[index] or ()

    def instances(self, index: int) -> list[Instance]:
        """The objects of the image at a position, in the order of their ids.

        Raises:
            UserError: the mask is missing or corrupt, or its size or number of objects differs from image or index.
        """
        file, names = self.files[index], self.categories[index]
        labels = read_mask(self.masks[index])
        size = image_size(file)
        if labels.shape[::-1] != size:
            raise UserError(
                f"{file}: image of {size[0]}x{size[1]} pixels, mask of {labels.shape[1]}x{labels.shape[0]}; resize one"
            )
        ids = object_ids(labels)
        if names is not None and len(names) != len(ids):
            raise UserError(f"{self.origin}: {file.stem} has {len(names)} categories, its mask {len(ids)} objects")
        objects = [(labels == number).astype(np.uint8) for number in ids]
        boxes = [cast(np.ndarray, mask_box(mask)) for mask in objects]
        return [
            Instance(box, name, mask, crowd=False)
            for box, name, mask in zip(boxes, names or [None] * len(ids), objects, strict=True)
        ]


def open_stills(root: Path) -> StillImages:
    """Open a folder of still images; an empty or missing folder has none.

    Raises:
        UserError: index.csv lacks a column.
    """
    images = files_in(root, *IMAGE_SUFFIXES)
    masks = {path.with_suffix(""): path for path in files_in(root, MASK_SUFFIX)}
    named = dict(read_index(root / INDEX)) if (root / INDEX).is_file() else {}
    index = root / INDEX if named else root
    return StillImages(
        images,
        [masks.get(file.with_suffix(""), file.with_suffix(MASK_SUFFIX)) for file in images],
        [named.get(key_of(root, file)) for file in images],
        index,
    )


def files_in(root: Path, *suffixes: str) -> list[Path]:
    """The files below a folder with one of some suffixes in upper or lower case, in the order of their names."""
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in suffixes)


def key_of(root: Path, file: Path) -> str:
    """The entry of an image in index.csv: its path below the root, without suffix."""
    return file.relative_to(root).with_suffix("").as_posix()


def read_index(file: Path) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Yield the key and the categories of each row of an index.csv, None if they are unknown.

    Categories are separated by blanks; an underscore stands for a blank in a name.

    Raises:
        UserError: the file is unreadable or lacks a column.
    """
    with read_csv(file, INDEX_COLUMNS, "correct or remove it") as rows:
        for row in rows:
            names = tuple(name.replace("_", " ") for name in (row["categories"] or "").split())
            yield f"{row['group']}/{row['name']}", names or None


def read_mask(path: Path) -> np.ndarray:
    """Read a mask as `read_labels` does; one with soft grey edges is one object, where it is at least half opaque.

    Salient-object sets such as DUTS store anti-aliased masks.

    Raises:
        UserError: the file is missing or corrupt, or has colours or transparency.
    """
    with open_image(path) as image:
        grey = np.array(image) if image.mode == "L" else None
    if grey is None or int(np.where(grey == VOID, 0, grey).max()) <= MAX_GREY_ID:
        return read_labels(path)
    return (grey >= SOFT_EDGE).astype(np.uint8)
