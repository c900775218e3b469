"""tracks.csv: boxes of objects and their parts, one row per box and frame."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from partprop.base.files import atomic_write, read_csv

SIDES = ("x1", "y1", "x2", "y2")
COLUMNS = ("frame", "object", "part", *SIDES, "score")

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 along pixel edges: pixel (x, y) is the box x, y, x + 1, y + 1."""

ObjectBoxes = Mapping[tuple[str, int], np.ndarray]
"""Box of each whole object, float (4,), by (frame name, object id); no entry for frames in which it is lost."""

WriteTracks = Callable[[str, Iterable["PartBox"], Iterable[int]], None]
"""Takes a frame name, the boxes in the frame, and the ids of the objects lost in it."""


@dataclass(frozen=True)
class PartBox:
    """The box of a part in a frame; part 0 is the whole object.

    Attributes:
        object_id: 1 to 254.
        part: 0 for the whole object, parts from 1.
        box: in pixels of the input frame.
        score: in [0, 1]; for a whole object, its confidence; for a part, its presence times the similarity to its
            template.
    """

    object_id: int
    part: int
    box: Box
    score: float


def object_boxes(frame: str, boxes: Iterable[PartBox]) -> dict[tuple[str, int], np.ndarray]:
    """The boxes of the whole objects in a frame, by (frame name, object id)."""
    return {(frame, part.object_id): np.array(part.box) for part in boxes if part.part == 0}


@contextmanager
def tracks_writer(path: Path) -> Iterator[WriteTracks]:
    """Write a table of boxes; the file appears when the block ends without an error.

    A lost object gets a row with part 0, an empty box and score 0. Coordinates are rounded to 0.01 pixels, scores to
    0.0001.

    Yields:
        A function to call once per frame, in order.

    Raises:
        UserError: the file cannot be written.
    """
    # frame names are file names, which may not be valid UTF-8
    with atomic_write(path) as temporary, temporary.open("w", -1, "utf-8", "surrogateescape", "") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)

        def write(frame: str, boxes: Iterable[PartBox], lost: Iterable[int]) -> None:
            for part in boxes:
                sides = (round(side, 2) for side in part.box)
                table.writerow((frame, part.object_id, part.part, *sides, round(part.score, 4)))
            table.writerows((frame, number, 0, "", "", "", "", 0.0) for number in lost)

        yield write


def read_object_boxes(path: Path) -> ObjectBoxes:
    """Read the boxes of the whole objects in a tracks.csv.

    Raises:
        UserError: the file is missing or unreadable, lacks a column, or has a value that is not a number.
    """
    return {
        (frame, part.object_id): np.array(part.box)
        for frame, parts in read_part_boxes(path).items()
        for part in parts
        if part.part == 0
    }


def read_part_boxes(path: Path) -> Mapping[str, list[PartBox]]:
    """Read all boxes in a tracks.csv, by frame name; rows of lost objects are omitted.

    Raises:
        UserError: as for `read_object_boxes`.
    """
    boxes = defaultdict(list)
    with read_csv(path, COLUMNS, "run inference again") as table:
        for row in table:
            number, part, left = int(row["object"]), int(row["part"]), row["x1"]
            if left != "":
                x1, y1, x2, y2, score = (float(row[column]) for column in COLUMNS[3:])
                boxes[row["frame"]].append(PartBox(number, part, (x1, y1, x2, y2), score))
    return boxes
