"""Accuracy and robustness as VOT measures them: a tracker that has failed is started again.

Source: Kristan et al., "A Novel Performance Evaluation Methodology for Single-Target Trackers", TPAMI 2016, section 3,
with the numbers of the challenges VOT2013 to VOT2019 and of their toolkit (vot-toolkit-python, supervised experiment).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from partprop.base.files import read_csv, write_csv
from partprop.metrics.boxes import overlap

SKIPPED = 5  # frames from a failure to the next start
BURN_IN = 10  # frames from each start on that do not count for accuracy, for there the tracker still profits from it
COLUMNS = ("object", "frame", "overlap", "failed")

Box = np.ndarray | None
"""x1, y1, x2, y2, (4,); None where there is no object, or none was found."""


class Supervised(NamedTuple):
    """Of one object. overlaps: (T,) in [0, 1], NaN in frames that do not count. failed: (T,) bool."""

    overlaps: np.ndarray
    failed: np.ndarray


def supervise(true_boxes: Sequence[Box], track: Callable[[int], Iterable[Box]]) -> Supervised:
    """Track an object, starting again some frames after each failure: a frame in which the boxes do not overlap.

    Args:
        true_boxes: of all T frames. Frames that do not show the object neither count nor fail.
        track: gives the boxes of the frames after the given one, in which the tracker is started with the true box.
    """
    overlaps, failed = np.full(len(true_boxes), np.nan), np.zeros(len(true_boxes), bool)
    start = _shown_from(true_boxes, 0)
    while start is not None:
        failure = _follow(true_boxes, track(start), start, overlaps)
        if failure is None:
            break
        failed[failure] = True
        start = _shown_from(true_boxes, failure + SKIPPED)
    return Supervised(overlaps, failed)


def _follow(true_boxes: Sequence[Box], boxes: Iterable[Box], start: int, overlaps: np.ndarray) -> int | None:
    """Note the overlaps of a run up to its failure, the frame of which is returned."""
    for frame, box in enumerate(boxes, start=start + 1):
        true_box = true_boxes[frame]
        if true_box is None:
            continue
        found = overlap(box, true_box)
        if found <= 0:
            return frame
        if frame >= start + BURN_IN:
            overlaps[frame] = found
    return None


def _shown_from(true_boxes: Sequence[Box], first: int) -> int | None:
    return next((frame for frame in range(first, len(true_boxes)) if true_boxes[frame] is not None), None)


def accuracy(objects: Sequence[Supervised]) -> float | None:
    """Mean overlap of each object's frames that count, mean over the objects that have any; None if none has.

    All objects count alike, as in the rest of the evaluation; the toolkit's default is to weigh them by their frames.
    """
    means = [each.overlaps[~np.isnan(each.overlaps)].mean() for each in objects if not np.isnan(each.overlaps).all()]
    return float(np.mean(means)) if means else None


def robustness(objects: Sequence[Supervised]) -> float:
    """Failures of an object on average; 0 is best."""
    return float(np.mean([each.failed.sum() for each in objects]))


def write_supervised(path: Path, frames: Sequence[str], objects: dict[int, Supervised]) -> None:
    """Write the runs of a sequence's objects, by their id."""
    rows = [
        (number, frame, "" if np.isnan(found) else f"{found:.6f}", int(failed))
        for number, run in objects.items()
        for frame, found, failed in zip(frames, *run, strict=True)
    ]
    write_csv(path, COLUMNS, rows)


def read_supervised(path: Path) -> dict[int, Supervised]:
    """What `write_supervised` wrote.

    Raises:
        UserError: the file is missing or has other columns.
    """
    rows: dict[int, list[tuple[float, bool]]] = {}
    with read_csv(path, COLUMNS, "run inference again") as table:
        for row in table:
            found = float(row["overlap"]) if row["overlap"] else float("nan")
            rows.setdefault(int(row["object"]), []).append((found, bool(int(row["failed"]))))
    return {
        number: Supervised(np.array([found for found, _ in run]), np.array([failed for _, failed in run]))
        for number, run in rows.items()
    }
