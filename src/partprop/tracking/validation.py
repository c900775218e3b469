"""Held-out training videos: split them off, segment them in memory and score them."""

import time
from typing import NamedTuple

import numpy as np

from partprop.base.errors import UserError
from partprop.data.splits import require_held_out
from partprop.data.tracks import object_boxes
from partprop.data.video import MIN_ANNOTATED_FRAMES, Video
from partprop.metrics.schema import Metrics
from partprop.metrics.sequences import SequenceScores, score_sequence
from partprop.metrics.summary import summarise
from partprop.model.network import Network
from partprop.tracking.settings import Settings
from partprop.tracking.videos import segment_sequence


class Validation(NamedTuple):
    """Result of `validate`.

    Attributes:
        scores: "J&F", "J", "F", "success_auc", "precision_20px", and "J&F <name>" for each video; in [0, 1].
        seconds_per_frame: mean time of reading and segmenting a frame, in seconds.
    """

    scores: dict[str, float]
    seconds_per_frame: float


def split_held_out(videos: list[Video], names: list[str]) -> tuple[list[Video], list[Video]]:
    """Split the training videos into those to train on and those named in train_tracking.held_out.

    Raises:
        UserError: a name is not in the training split, or no video is left to train on.
    """
    require_held_out(names, [video.name for video in videos])
    training = [video for video in videos if video.name not in names]
    return training, [video for video in videos if video.name in names]


def require_annotated(held_out: list[Video], frames: int) -> None:
    """Check that the first `frames` frames of each video have enough annotated masks to be scored.

    Raises:
        UserError: a video has too few.
    """
    for video in held_out:
        count = sum(mask is not None for mask in video.masks[:frames])
        if count < MIN_ANNOTATED_FRAMES:
            raise UserError(
                f"train_tracking.validate_frames: {video.name} has {count} annotated masks in its first {frames} "
                f"frames, but scoring needs {MIN_ANNOTATED_FRAMES}; increase validate_frames"
            )


def validate(network: Network, settings: Settings, videos: list[Video], frames: int | None) -> Validation:
    """Segment and score videos, as inference and evaluation do on disk. Sets the network to evaluation mode.

    Args:
        frames: number of first frames of each video to use; None for all.

    Raises:
        UserError: the first frame of a video is not annotated, or too few frames are.
    """
    network.eval()
    shortened = [video if frames is None else video.select(range(len(video))[:frames]) for video in videos]
    measured = [_segment_and_score(network, settings, video) for video in shortened]
    seconds = sum(spent for _, spent in measured) / sum(len(video) for video in shortened)
    return Validation(_flatten(summarise([scores for scores, _ in measured])), seconds)


def _flatten(metrics: Metrics) -> dict[str, float]:
    return {
        "J&F": metrics["J&F"],
        "J": metrics["J"]["mean"],
        "F": metrics["F"]["mean"],
        "success_auc": metrics["boxes"]["success_auc"],
        "precision_20px": metrics["boxes"]["precision_20px"],
        **{f"J&F {name}": block["J&F"] for name, block in metrics["sequences"].items()},
    }


def _segment_and_score(network: Network, settings: Settings, video: Video) -> tuple[SequenceScores, float]:
    """Return the scores and the seconds that segmentation took, scoring excluded."""
    masks: dict[str, np.ndarray] = {}
    boxes: dict[tuple[str, int], np.ndarray] = {}
    started = time.perf_counter()
    for frame, result in segment_sequence(network, settings, video):
        masks[frame] = result.labels
        boxes |= object_boxes(frame, result.boxes)
    seconds = time.perf_counter() - started
    return score_sequence(video, masks.__getitem__, boxes), seconds
