"""Summaries of sequence scores: the numbers of metrics.json and the curves of its plots."""

from collections.abc import Iterable, Sequence

import numpy as np

from partprop.base.errors import UserError
from partprop.metrics.bootstrap import bootstrap_interval
from partprop.metrics.boxes import PRECISION_AT, precision_curve, success_curve
from partprop.metrics.davis import statistics
from partprop.metrics.schema import IntervalBlock, Metrics, ObjectBlock, SequenceBlock, StatisticsBlock
from partprop.metrics.sequences import SequenceScores


def summarise(scores: Sequence[SequenceScores]) -> Metrics:
    """Summarise one method's scores of at least one sequence.

    Raises:
        UserError: no counted frame shows an object, so there are no box measures.
    """
    success, precision = box_curves(scores)
    j, f = _mean_statistics(each.j for each in scores), _mean_statistics(each.f for each in scores)
    return {
        "J&F": (j["mean"] + f["mean"]) / 2,
        "J&F_interval": interval_of_mean([mean_of_j_and_f(sequence) for sequence in scores]),
        "J": j,
        "F": f,
        "boxes": {"success_auc": float(success.mean()), "precision_20px": float(precision[PRECISION_AT])},
        "sequences": {sequence.name: _sequence_block(sequence) for sequence in scores},
    }


def mean_of_j_and_f(scores: SequenceScores) -> np.ndarray:
    """J&F by object and frame, (objects, frames) in [0, 1]; NaN in frames in which an object does not count."""
    return (scores.j + scores.f) / 2


def mean_of_last_third(scores: Sequence[SequenceScores]) -> float:
    """J&F of the last third of each sequence's counted frames, the mean over all objects: what is left of an object."""
    by_object = [mean_of_j_and_f(sequence)[:, 2 * len(sequence.frames) // 3 :] for sequence in scores]
    return float(np.concatenate([np.nanmean(each, axis=1) for each in by_object]).mean())


def interval_of_mean(values: Sequence[np.ndarray]) -> IntervalBlock:
    """Bootstrap interval of the mean over all objects.

    Args:
        values: (objects, frames) for each sequence; NaN frames are ignored.
    """
    sums = np.array([np.nanmean(each, axis=1).sum() for each in values])
    low, high = bootstrap_interval(sums, np.array([len(each) for each in values]))
    return {"low": low, "high": high}


POSITIONS = np.linspace(0, 1, 51)
"""Positions in a video from its first (0) to its last counted frame (1), (51,)."""


def curves_over_time(scores: Iterable[SequenceScores]) -> tuple[np.ndarray, np.ndarray]:
    """J and F at POSITIONS, (51,) each: means over the objects of a sequence, then over the sequences."""
    j, f = [], []
    for sequence in scores:
        frames = np.linspace(0, 1, len(sequence.frames))
        j.append(np.interp(POSITIONS, frames, np.nanmean(sequence.j, axis=0)))
        f.append(np.interp(POSITIONS, frames, np.nanmean(sequence.f, axis=0)))
    return np.mean(j, axis=0), np.mean(f, axis=0)


def box_curves(scores: Iterable[SequenceScores]) -> tuple[np.ndarray, np.ndarray]:
    """Success (21,) and precision (51,) at the thresholds of `boxes`: means over the objects of all sequences.

    Raises:
        UserError: no counted frame shows an object.
    """
    success, precision = [], []
    for sequence in scores:
        for overlaps, errors in zip(sequence.overlaps, sequence.centre_errors, strict=True):
            shown = ~np.isnan(overlaps)
            if shown.any():
                success.append(success_curve(overlaps[shown]))
                precision.append(precision_curve(errors[shown]))
    if not success:
        raise UserError("annotations: no counted frame shows an object, so boxes cannot be scored; check the masks")
    return np.mean(success, axis=0), np.mean(precision, axis=0)


def _mean_statistics(measured: Iterable[np.ndarray]) -> StatisticsBlock:
    """Means over the objects of the statistics of values (objects, frames), one array per sequence."""
    objects = [statistics(values[~np.isnan(values)]) for sequence in measured for values in sequence]
    return {
        "mean": float(np.mean([each.mean for each in objects])),
        "recall": float(np.mean([each.recall for each in objects])),
        "decay": float(np.mean([each.decay for each in objects])),
    }


def _sequence_block(scores: SequenceScores) -> SequenceBlock:
    j, f = (np.nanmean(values, axis=1) for values in (scores.j, scores.f))
    objects: dict[str, ObjectBlock] = {
        str(number): {"J": float(j[row]), "F": float(f[row])} for row, number in enumerate(scores.objects)
    }
    return {"J&F": float((j + f).mean() / 2), "J": float(j.mean()), "F": float(f.mean()), "objects": objects}
