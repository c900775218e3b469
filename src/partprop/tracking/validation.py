"""Held-out training videos: split them off, segment them in memory and score them."""

import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from partprop.base.errors import UserError
from partprop.data.splits import require_held_out
from partprop.data.tracks import object_boxes
from partprop.data.video import MIN_ANNOTATED_FRAMES, Video
from partprop.metrics.davis import jaccard
from partprop.metrics.schema import Metrics
from partprop.metrics.sequences import SequenceScores, score_sequence
from partprop.metrics.summary import mean_of_last_third, summarise
from partprop.model.network import Network
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings
from partprop.tracking.videos import segment_sequence


class MovingClip(NamedTuple):
    """A clip of one object in memory: T frames, uint8 (H, W, 3), RGB, and its masks, uint8 (H, W) in {0, 1}."""

    images: Sequence[np.ndarray]
    masks: Sequence[np.ndarray]


class Validation(NamedTuple):
    """Result of `validate`.

    Attributes:
        scores: "J&F", "J", "F", "success_auc", "precision_20px", "J&F last third" (of the frames of each video), and
            "J&F <name>" for each video; in [0, 1].
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
    scores = [each for each, _ in measured]
    return Validation(_flatten(summarise(scores), mean_of_last_third(scores)), seconds)


def validate_clips(network: Network, settings: Settings, clips: Iterable[MovingClip]) -> float:
    """Segment clips of one object each and return their mean J: over the frames after the first, then over the clips.

    Sets the network to evaluation mode.
    """
    network.eval()
    return float(np.mean([_mean_j(network, settings, clip) for clip in clips]))


def _mean_j(network: Network, settings: Settings, clip: MovingClip) -> float:
    segmenter = Segmenter(network, settings)
    segmenter.start(clip.images[0], clip.masks[0])
    found = [segmenter.step(image).labels > 0 for image in clip.images[1:]]
    return float(np.mean([jaccard(mask, truth > 0) for mask, truth in zip(found, clip.masks[1:], strict=True)]))


def _flatten(metrics: Metrics, last_third: float) -> dict[str, float]:
    return {
        "J&F": metrics["J&F"],
        "J": metrics["J"]["mean"],
        "F": metrics["F"]["mean"],
        "success_auc": metrics["boxes"]["success_auc"],
        "precision_20px": metrics["boxes"]["precision_20px"],
        "J&F last third": last_third,
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
