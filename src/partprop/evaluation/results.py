"""Score folders of predicted masks by the DAVIS semi-supervised protocol and summarise them as metrics.json does."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

import cv2
import numpy as np

from partprop.data.labels import mask_box
from partprop.data.video import VOID, read_labels
from partprop.data.video import Sequence as Video
from partprop.errors import UserError
from partprop.evaluation.boxes import (
    PRECISION_AT,
    Tracks,
    centre_error,
    overlap,
    precision_curve,
    read_tracks,
    success_curve,
)
from partprop.evaluation.davis import Statistics, boundary_f, jaccard, statistics
from partprop.evaluation.schema import IntervalBlock, Metrics, ObjectBlock, SequenceBlock, StatisticsBlock
from partprop.evaluation.significance import bootstrap_interval


@dataclass(frozen=True)
class SequenceScores:
    """Scores of one sequence by object and frame.

    Attributes:
        name: the sequence's name.
        objects: ids of the objects: those of the first annotated mask.
        frames: names of the frames that count: all annotated ones but the first and the last.
        j, f: float (objects, frames) in [0, 1].
        overlaps: intersection over union of the boxes, (objects, frames); NaN where the true mask is empty.
        centre_errors: in pixels, as `overlaps`; infinite where the prediction has no box.
    """

    name: str
    objects: tuple[int, ...]
    frames: tuple[str, ...]
    j: np.ndarray
    f: np.ndarray
    overlaps: np.ndarray
    centre_errors: np.ndarray


def score_sequence(
    sequence: Video,
    prediction: Callable[[str], np.ndarray],
    tracks: Tracks | None = None,
    origin: str = "prediction",
) -> SequenceScores:
    """Score the predictions for one sequence.

    Args:
        sequence: the video with its true masks.
        prediction: gives the label map of a frame by its name: uint8 (H, W), 0 background, object ids.
        tracks: boxes of the objects; None takes the boxes around the predicted masks.
        origin: what errors call the source of the predictions, such as their folder.

    Raises:
        UserError: fewer than three annotated frames, or a prediction of other size or with unknown objects.
    """
    annotated = [index for index, mask in enumerate(sequence.masks) if mask is not None]
    counted = annotated[1:-1]
    if not counted:
        raise UserError(f"{sequence.name}: has {len(annotated)} annotated frames; the protocol needs three or more")
    objects = _object_ids(_labels(sequence, annotated[0]))
    frames = tuple(sequence.frame_names[index] for index in counted)
    j, f, overlaps, errors = np.full((4, len(objects), len(frames)), np.nan)
    for column, (index, frame) in enumerate(zip(counted, frames, strict=True)):
        truth, predicted = _labels(sequence, index), prediction(frame)
        if sequence.single_object:
            predicted = np.where((predicted != 0) & (predicted != VOID), 1, predicted)
        _check_prediction(predicted, truth, objects, f"{origin}/{frame}.png")
        void = truth == VOID
        for row, number in enumerate(objects):
            predicted_mask, true_mask = predicted == number, truth == number
            j[row, column] = jaccard(predicted_mask, true_mask, void)
            f[row, column] = boundary_f(predicted_mask, true_mask, void)
            true_box = mask_box(true_mask)
            if true_box is not None:
                box = mask_box(predicted_mask) if tracks is None else tracks.get((frame, number))
                overlaps[row, column] = overlap(box, true_box)
                errors[row, column] = centre_error(box, true_box)
    return SequenceScores(sequence.name, objects, frames, j, f, overlaps, errors)


def score_folder(sequence: Video, folder: Path) -> SequenceScores:
    """Score `<folder>/<frame>.png`; boxes come from `<folder>/tracks.csv` if there is one, else from the masks.

    Raises:
        UserError: as for `score_sequence`, or a file is missing or corrupt.
    """

    def prediction(frame: str) -> np.ndarray:
        file = folder / f"{frame}.png"
        if not file.exists():
            raise UserError(f"{file}: no such prediction; every annotated frame but the first and the last needs one")
        return read_labels(file)

    tracks_file = folder / "tracks.csv"
    tracks = read_tracks(tracks_file) if tracks_file.exists() else None
    return score_sequence(sequence, prediction, tracks, origin=str(folder))


def score_folders(pairs: Sequence[tuple[Video, Path]], jobs: int = 1) -> list[SequenceScores]:
    """Score each sequence against its folder of predictions, in order, in `jobs` processes; errors as `score_folder`.

    The scores do not depend on the number of processes.
    """
    if jobs == 1 or len(pairs) == 1:
        return [score_folder(*pair) for pair in pairs]
    # Spawned, not forked: the caller may run threads (MLflow's system metrics), whose locks a fork would copy.
    workers = min(jobs, len(pairs))
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker) as pool:
        return list(pool.map(score_folder, *zip(*pairs, strict=True)))


def evaluate_results(sequences: Iterable[Video], folders: Mapping[str, Path], jobs: int = 1) -> Metrics:
    """Score and summarise the predictions for `sequences`, given the folder of each by the sequence's name."""
    return summarise(score_folders([(sequence, folders[sequence.name]) for sequence in sequences], jobs))


def summarise(scores: Sequence[SequenceScores]) -> Metrics:
    """Metrics of one method from the scores of its sequences, at least one.

    Raises:
        UserError: no frame that counts shows an object, so that boxes cannot be measured.
    """
    j = [statistics(values) for sequence in scores for values in sequence.j]
    f = [statistics(values) for sequence in scores for values in sequence.f]
    success, precision = box_curves(scores)
    j_block, f_block = _mean_statistics(j), _mean_statistics(f)
    return {
        "J&F": (j_block["mean"] + f_block["mean"]) / 2,
        "J&F_interval": interval_of_mean([mean_of_j_and_f(sequence) for sequence in scores]),
        "J": j_block,
        "F": f_block,
        "boxes": {"success_auc": float(success.mean()), "precision_20px": float(precision[PRECISION_AT])},
        "sequences": {sequence.name: _sequence_block(sequence) for sequence in scores},
    }


def mean_of_j_and_f(scores: SequenceScores) -> np.ndarray:
    """J&F in [0, 1], (objects, frames)."""
    return (scores.j + scores.f) / 2


def interval_of_mean(values: Sequence[np.ndarray]) -> IntervalBlock:
    """The bootstrap interval of the mean over all objects of values (objects, frames), by sequence."""
    sums = np.array([each.mean(axis=1).sum() for each in values])
    low, high = bootstrap_interval(sums, np.array([len(each) for each in values]))
    return {"low": low, "high": high}


def box_curves(scores: Iterable[SequenceScores]) -> tuple[np.ndarray, np.ndarray]:
    """Success (21,) and precision (51,) at the thresholds of `boxes`, as means over the objects of all sequences.

    Raises:
        UserError: as for `summarise`.
    """
    success, precision = [], []
    for sequence in scores:
        for overlaps, errors in zip(sequence.overlaps, sequence.centre_errors, strict=True):
            shown = ~np.isnan(overlaps)
            if shown.any():
                success.append(success_curve(overlaps[shown]))
                precision.append(precision_curve(errors[shown]))
    if not success:
        raise UserError("annotations: no object is shown after the first frame; nothing to measure boxes on")
    return np.mean(success, axis=0), np.mean(precision, axis=0)


def _start_worker() -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Workers of a pool whose owner was killed would wait for work forever."""
    owner = parent_process()
    assert owner is not None
    owner.join()
    os._exit(1)


def _labels(sequence: Video, index: int) -> np.ndarray:
    labels = sequence.labels(index)
    assert labels is not None  # only annotated frames are asked for
    return labels


def _object_ids(labels: np.ndarray) -> tuple[int, ...]:
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=VOID + 1))
    return tuple(int(number) for number in present if number not in (0, VOID))


def _check_prediction(predicted: np.ndarray, truth: np.ndarray, objects: tuple[int, ...], file: str) -> None:
    if predicted.shape != truth.shape:
        sizes = [f"{labels.shape[1]}x{labels.shape[0]}" for labels in (predicted, truth)]
        raise UserError(f"{file}: {sizes[0]} pixels where the annotation has {sizes[1]}; write it at that size")
    unknown = set(np.flatnonzero(np.bincount(predicted.ravel()))) - {0, *objects}
    if unknown:
        raise UserError(
            f"{file}: holds the object {min(unknown)}, but the first annotated mask has only "
            f"{', '.join(map(str, objects))}; use its ids"
        )


def _mean_statistics(objects: Sequence[Statistics]) -> StatisticsBlock:
    return {
        "mean": float(np.mean([each.mean for each in objects])),
        "recall": float(np.mean([each.recall for each in objects])),
        "decay": float(np.mean([each.decay for each in objects])),
    }


def _sequence_block(scores: SequenceScores) -> SequenceBlock:
    j, f = float(scores.j.mean()), float(scores.f.mean())
    objects: dict[str, ObjectBlock] = {
        str(number): {"J": float(scores.j[row].mean()), "F": float(scores.f[row].mean())}
        for row, number in enumerate(scores.objects)
    }
    return {"J&F": (j + f) / 2, "J": j, "F": f, "objects": objects}
