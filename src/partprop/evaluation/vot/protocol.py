"""Accuracy and robustness under the supervised protocol of VOT, which restarts a tracker after each failure.

Source: Kristan et al., "A Novel Performance Evaluation Methodology for Single-Target Trackers", TPAMI 2016, section 3.
The constants are those of the challenges VOT2013 to VOT2019 and of vot-toolkit-python (supervised experiment).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from partprop.base.files import read_csv, write_csv
from partprop.metrics.boxes import overlap

SKIPPED = 5  # frames from a failure to the restart
BURN_IN = 10  # frames after each start that do not count for accuracy, since the given box still helps the tracker
COLUMNS = ("object", "frame", "overlap", "failed")

Box = np.ndarray | None
"""x1, y1, x2, y2, (4,), in pixels; None if the object is hidden or was not found."""


class SupervisedRun(NamedTuple):
    """Result of the supervised protocol for one object.

    Attributes:
        overlaps: (T,) in [0, 1]; NaN in frames that do not count for accuracy.
        failed: bool (T,), the frames in which the tracker failed.
    """

    overlaps: np.ndarray
    failed: np.ndarray


def supervise(true_boxes: Sequence[Box], track: Callable[[int], Iterable[Box]]) -> SupervisedRun:
    """Track an object and restart SKIPPED frames after each failure, a frame without overlap with the true box.

    Args:
        true_boxes: one per frame, T in all. Frames without the object neither count nor fail.
        track: starts the tracker with the true box in the given frame and yields the boxes of the frames after it.
    """
    overlaps, failed = np.full(len(true_boxes), np.nan), np.zeros(len(true_boxes), bool)
    start = _next_visible(true_boxes, 0)
    while start is not None:
        failure = _run_until_failure(true_boxes, track(start), start, overlaps)
        if failure is None:
            break
        failed[failure] = True
        start = _next_visible(true_boxes, failure + SKIPPED)
    return SupervisedRun(overlaps, failed)


def _run_until_failure(true_boxes: Sequence[Box], boxes: Iterable[Box], start: int, overlaps: np.ndarray) -> int | None:
    """Write the overlaps of a run into `overlaps`; return the frame of its failure, None if there is none."""
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


def _next_visible(true_boxes: Sequence[Box], first: int) -> int | None:
    """The first frame from `first` on that shows the object; None if there is none."""
    return next((frame for frame in range(first, len(true_boxes)) if true_boxes[frame] is not None), None)


def accuracy(objects: Sequence[SupervisedRun]) -> float | None:
    """Mean overlap in the frames that count: over the frames of an object, then over the objects; None without frames.

    All objects have equal weight, as in the rest of the evaluation. The toolkit's default weights them by their frames.
    """
    means = [each.overlaps[~np.isnan(each.overlaps)].mean() for each in objects if not np.isnan(each.overlaps).all()]
    return float(np.mean(means)) if means else None


def robustness(objects: Sequence[SupervisedRun]) -> float:
    """Mean number of failures per object; 0 is best."""
    return float(np.mean([each.failed.sum() for each in objects]))


def write_supervised(path: Path, frames: Sequence[str], objects: dict[int, SupervisedRun]) -> None:
    """Write the runs of the objects of a sequence, by object id, as CSV with one row per object and frame."""
    rows = [
        (number, frame, "" if np.isnan(found) else f"{found:.6f}", int(failed))
        for number, run in objects.items()
        for frame, found, failed in zip(frames, *run, strict=True)
    ]
    write_csv(path, COLUMNS, rows)


def read_supervised(path: Path) -> dict[int, SupervisedRun]:
    """Read the runs by object id from a file of `write_supervised`.

    Raises:
        UserError: the file is missing or damaged.
    """
    rows: dict[int, list[tuple[float, bool]]] = {}
    with read_csv(path, COLUMNS, "run inference again") as table:
        for row in table:
            found = float(row["overlap"]) if row["overlap"] else float("nan")
            rows.setdefault(int(row["object"]), []).append((found, bool(int(row["failed"]))))
    return {
        number: SupervisedRun(np.array([found for found, _ in run]), np.array([failed for _, failed in run]))
        for number, run in rows.items()
    }
