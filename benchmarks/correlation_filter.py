"""Compare the boxes of partprop's results with OpenCV's correlation filters, by the same measures on the same frames.

    .venv/bin/python benchmarks/correlation_filter.py results/davis data/davis

Each tracker starts with the bounding box of the object's true mask in the first frame. Its boxes, and those in the
results' tracks.csv, are compared with the bounding boxes of the true masks. The first run creates the environment
`.venv-contrib` beside the project's `.venv` and installs opencv-contrib-python-headless in it.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from other_environment import python_with

from partprop.base.errors import UserError
from partprop.data.labels import mask_box, object_ids
from partprop.data.video import Video, open_davis
from partprop.evaluation.folders import find_results, require_exactly
from partprop.evaluation.workers import score_folders
from partprop.metrics.sequences import SequenceScores, score_sequence
from partprop.metrics.summary import summarise

ENVIRONMENT = ".venv-contrib"
PACKAGE = "opencv-contrib-python-headless>=4.10,<6"
TRACKERS = ("csrt", "kcf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of results with a tracks.csv for each sequence")
    parser.add_argument("davis", type=Path, help="DAVIS folder, of which the validation split is tracked")
    arguments = parser.parse_args()
    try:
        measures = compare(arguments.results, arguments.davis)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for name, block in measures.items():
        print(f"{name:10s} success AUC {block['success_auc']:.3f}   precision at 20 px {block['precision_20px']:.3f}")


def compare(results: Path, davis: Path) -> dict[str, dict[str, float]]:
    """Success AUC and precision at 20 px, in [0, 1], of the results' boxes and of each tracker."""
    folders = find_results(results)
    sequences = open_davis(davis, "val", 2016)
    require_exactly(folders, [sequence.name for sequence in sequences], results)
    for folder in folders.values():
        if not (folder / "tracks.csv").exists():
            raise UserError(f"{folder}: no tracks.csv; run inference again")
    scores = {"partprop": score_folders([(sequence, folders[sequence.name]) for sequence in sequences], jobs=2)}
    for tracker in TRACKERS:
        scores[tracker] = _score_tracker(tracker, sequences)
    return {name: dict(summarise(each)["boxes"]) for name, each in scores.items()}


def _score_tracker(tracker: str, sequences: list[Video]) -> list[SequenceScores]:
    objects = [_first_boxes(sequence) for sequence in sequences]
    jobs = [
        {"tracker": tracker, "frames": [str(path) for path in sequence.frames], "boxes": list(boxes.values())}
        for sequence, boxes in zip(sequences, objects, strict=True)
    ]
    answer = json.loads(_run(jobs))
    frames = sum(len(sequence) - 1 for sequence in sequences)
    print(f"{tracker}: {frames / answer['seconds']:.1f} frames per second, reading included", file=sys.stderr)
    scores = []
    for sequence, ids, found in zip(sequences, objects, answer["tracks"], strict=True):
        blank = np.zeros_like(sequence.labels(0))  # only the box measures are read
        scores.append(score_sequence(sequence, lambda _, mask=blank: mask, _by_frame(sequence, ids, found)))
    return scores


def _first_boxes(sequence: Video) -> dict[int, list[int]]:
    """Box of each object in the first frame, by id."""
    labels = sequence.labels(0)
    if labels is None:
        raise UserError(f"{sequence.frames[0]}: no mask for the first frame, which a tracker starts from; add it")
    boxes = {number: mask_box(labels == number) for number in object_ids(labels)}
    return {number: [int(side) for side in box] for number, box in boxes.items() if box is not None}


def _by_frame(
    sequence: Video, ids: dict[int, list[int]], found: list[list[list[float] | None]]
) -> dict[tuple[str, int], np.ndarray]:
    """Boxes (4,) by frame name and object id, from one list of boxes per object."""
    return {
        (frame, number): np.array(box)
        for number, boxes in zip(ids, found, strict=True)
        for frame, box in zip(sequence.frame_names[1:], boxes, strict=True)
        if box is not None
    }


def _run(jobs: list[dict]) -> str:
    python = python_with(PACKAGE, ENVIRONMENT)
    worker = Path(__file__).with_name("opencv_tracker.py")
    done = subprocess.run(
        [str(python), str(worker)], input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"{worker}: failed in {ENVIRONMENT} ({done.stderr.strip().splitlines()[-1]})")
    return done.stdout


if __name__ == "__main__":
    main()
