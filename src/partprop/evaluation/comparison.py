"""Two folders of results beside each other: is the one better than the other, and where?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from partprop.data.video import Video
from partprop.evaluation.folders import open_annotations, open_named_results
from partprop.evaluation.workers import score_folders
from partprop.metrics.sequences import SequenceScores
from partprop.metrics.summary import interval_of_mean, mean_of_j_and_f

FRAMES = 6  # shown where the results differ most, at most one of a sequence


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
    """A frame and by how much its J&F, as a mean over the objects, is higher in the second results."""

    sequence: Video
    frame: str
    gain: float
    folders: tuple[Path, Path]


@dataclass(frozen=True)
class Comparison:
    """J&F of two results on the same sequences.

    Attributes:
        first, second: J&F in [0, 1] of each result.
        gain: of the second over the first, paired by sequence.
        sequences: J&F of both by sequence, means over the objects.
        frames: where they differ most, the largest difference first.
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
        first, second: hold `<sequence>/<frame>.png`, or one level deeper in folders of shards.
        annotations, sequences, jobs: as of `evaluate_folders`; without `sequences` those of `first` count.

    Raises:
        UserError: as of `evaluate_folders`; or `second` lacks a sequence.
    """
    ours = open_named_results(first, sequences)
    theirs = open_named_results(second, sequences, like=ours)
    truths = open_annotations(annotations, ours)
    pairs = [(truth, found[truth.name]) for found in (ours, theirs) for truth in truths]
    scores = score_folders(pairs, jobs)
    firsts, seconds = scores[: len(truths)], scores[len(truths) :]
    by_frame = [(mean_of_j_and_f(a), mean_of_j_and_f(b)) for a, b in zip(firsts, seconds, strict=True)]
    frames = [
        _largest(truth, scored, _over_objects(b - a), (ours[truth.name], theirs[truth.name]))
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
    """Of values (objects, frames) by sequence."""
    objects = np.concatenate([np.nanmean(each, axis=1) for each in values])
    return Estimate(float(objects.mean()), **interval_of_mean(values))


def _mean(values: np.ndarray) -> float:
    """Mean over the objects of their means over the frames; values (objects, frames)."""
    return float(np.nanmean(values, axis=1).mean())


def _over_objects(values: np.ndarray) -> np.ndarray:
    """Means (frames,) of values (objects, frames) over the objects that are there; NaN before the first appears."""
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis=0) / (~np.isnan(values)).sum(axis=0)


def _largest(truth: Video, scores: SequenceScores, gains: np.ndarray, folders: tuple[Path, Path]) -> Difference:
    index = int(np.nanargmax(np.abs(gains)))
    return Difference(truth, scores.frames[index], float(gains[index]), folders)
