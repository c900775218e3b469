"""Measure a network on sequences in memory, as inference and evaluation do on disk."""

import time
from typing import NamedTuple

import numpy as np

from partprop.data.tracks import object_boxes
from partprop.data.video import Video
from partprop.metrics.schema import Metrics
from partprop.metrics.sequences import SequenceScores, score_sequence
from partprop.metrics.summary import summarise
from partprop.model.network import Network
from partprop.tracking.settings import Settings
from partprop.tracking.videos import segment_sequence


class Validation(NamedTuple):
    """scores: J&F, J, F and box metrics, and J&F by sequence, all in [0, 1]. seconds_per_frame: reading included."""

    scores: dict[str, float]
    seconds_per_frame: float


def validate(network: Network, settings: Settings, sequences: list[Video], frames: int | None) -> Validation:
    """Segment and score the first frames (or all) of each sequence."""
    network.eval()
    shortened = sequences if frames is None else [each.select(range(len(each))[:frames]) for each in sequences]
    measured = [_score(network, settings, sequence) for sequence in shortened]
    seconds = sum(spent for _, spent in measured) / sum(len(sequence) for sequence in shortened)
    return Validation(_flat(summarise([scores for scores, _ in measured])), seconds)


def _flat(metrics: Metrics) -> dict[str, float]:
    return {
        "J&F": metrics["J&F"],
        "J": metrics["J"]["mean"],
        "F": metrics["F"]["mean"],
        "success_auc": metrics["boxes"]["success_auc"],
        "precision_20px": metrics["boxes"]["precision_20px"],
        **{f"J&F {name}": block["J&F"] for name, block in metrics["sequences"].items()},
    }


def _score(network: Network, settings: Settings, sequence: Video) -> tuple[SequenceScores, float]:
    """Scores, and the seconds that segmentation took."""
    masks: dict[str, np.ndarray] = {}
    boxes: dict[tuple[str, int], np.ndarray] = {}
    started = time.perf_counter()
    for frame, result in segment_sequence(network, settings, sequence):
        masks[frame] = result.labels
        boxes |= object_boxes(frame, result.boxes)
    seconds = time.perf_counter() - started
    return score_sequence(sequence, masks.__getitem__, boxes), seconds
