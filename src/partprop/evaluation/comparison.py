"""Paired comparison of two folders of results: the difference in J&F, and where it is largest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from partprop.data.video import Video
from partprop.evaluation.folders import open_annotations, open_named_results
from partprop.evaluation.workers import score_folders
from partprop.metrics.sequences import SequenceScores
from partprop.metrics.summary import interval_of_mean, mean_of_j_and_f

FRAMES = 6  # number of frames to show, at most one per sequence


@dataclass(frozen=True)
class Estimate:
    """A mean over the objects of all sequences and its 95 % bootstrap interval over the sequences."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Difference:
    """The frame of a sequence in which two results differ most.

    Attributes:
        sequence: the annotated video.
        frame: name of the frame.
        gain: J&F of the second result minus that of the first, mean over the objects of the frame.
        folders: the two folders of predictions for this sequence.
    """

    sequence: Video
    frame: str
    gain: float
    folders: tuple[Path, Path]


@dataclass(frozen=True)
class Comparison:
    """J&F of two results on the same sequences.

    Attributes:
        first, second: J&F in [0, 1] of each result.
        gain: second minus first, paired by sequence.
        sequences: J&F of both results by sequence, means over the objects.
        frames: frames in which the results differ most, the largest difference first; empty for equal results.
    """

    first: Estimate
    second: Estimate
    gain: Estimate
    sequences: dict[str, tuple[float, float]]
    frames: list[Difference]


def compare_folders(
    first: Path, second: Path, annotations: Path, sequences: Path | None = None, jobs: int = 1
) -> Comparison:
    """Compare two folders of results by the DAVIS semi-supervised protocol.

    Args:
        first, second: folders with `<sequence>/<frame>.png`, or with `<shard>/<sequence>/<frame>.png`.
        annotations, sequences, jobs: as in `evaluate_folders`; if `sequences` is None, all sequences of `first` count.

    Raises:
        UserError: as in `evaluate_folders`; or `second` lacks a sequence.
    """
    ours = open_named_results(first, sequences)
    theirs = open_named_results(second, sequences, like=ours)
    truths = open_annotations(annotations, ours)
    pairs = [(truth, found[truth.name]) for found in (ours, theirs) for truth in truths]
    scores = score_folders(pairs, jobs)
    firsts, seconds = scores[: len(truths)], scores[len(truths) :]
    by_frame = [(mean_of_j_and_f(a), mean_of_j_and_f(b)) for a, b in zip(firsts, seconds, strict=True)]
    frames = [
        _largest_difference(truth, scored, _over_objects(b - a), (ours[truth.name], theirs[truth.name]))
        for truth, scored, (a, b) in zip(truths, firsts, by_frame, strict=True)
    ]
    frames.sort(key=lambda frame: -abs(frame.gain))
    return Comparison(
        first=_estimate([a for a, _ in by_frame]),
        second=_estimate([b for _, b in by_frame]),
        gain=_estimate([b - a for a, b in by_frame]),
        sequences={truth.name: (_mean(a), _mean(b)) for truth, (a, b) in zip(truths, by_frame, strict=True)},
        frames=[frame for frame in frames[:FRAMES] if frame.gain],
    )


def _estimate(values: list[np.ndarray]) -> Estimate:
    """Estimate the mean of values (objects, frames), one array per sequence."""
    objects = np.concatenate([np.nanmean(each, axis=1) for each in values])
    return Estimate(float(objects.mean()), **interval_of_mean(values))


def _mean(values: np.ndarray) -> float:
    """Mean over the objects of the means over the frames of values (objects, frames)."""
    return float(np.nanmean(values, axis=1).mean())


def _over_objects(values: np.ndarray) -> np.ndarray:
    """Means (frames,) of values (objects, frames) over the objects that count; NaN before the first appears."""
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis=0) / (~np.isnan(values)).sum(axis=0)


def _largest_difference(
    truth: Video, scores: SequenceScores, gains: np.ndarray, folders: tuple[Path, Path]
) -> Difference:
    index = int(np.nanargmax(np.abs(gains)))
    return Difference(truth, scores.frames[index], float(gains[index]), folders)
