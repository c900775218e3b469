"""Measure a network on sequences in memory, as inference and evaluation do on disk."""

import numpy as np

from partprop.data.video import Sequence
from partprop.evaluation.results import SequenceScores, score_sequence, summarise
from partprop.model.network import Network
from partprop.tracking.segmenter import Settings
from partprop.tracking.videos import head, object_boxes, segment_sequence


def validate(network: Network, settings: Settings, sequences: list[Sequence], frames: int | None) -> dict[str, float]:
    """J&F, J, F and box metrics, all in [0, 1], of the first frames (or all) of each sequence."""
    network.eval()
    shortened = [sequence if frames is None else head(sequence, frames) for sequence in sequences]
    metrics = summarise([_score(network, settings, sequence) for sequence in shortened])
    return {
        "J&F": metrics["J&F"],
        "J": metrics["J"]["mean"],
        "F": metrics["F"]["mean"],
        "success_auc": metrics["boxes"]["success_auc"],
        "precision_20px": metrics["boxes"]["precision_20px"],
        **{f"J&F {name}": block["J&F"] for name, block in metrics["sequences"].items()},
    }


def _score(network: Network, settings: Settings, sequence: Sequence) -> SequenceScores:
    masks: dict[str, np.ndarray] = {}
    boxes: dict[tuple[str, int], np.ndarray] = {}
    for frame, result in segment_sequence(network, settings, sequence):
        masks[frame] = result.labels
        boxes |= object_boxes(frame, result)
    return score_sequence(sequence, masks.__getitem__, boxes)
