"""Score label maps, in memory or in folders, by the DAVIS semi-supervised protocol: which frames and objects count."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import VOID, object_ids
from partprop.data.tracks import ObjectBoxes
from partprop.data.video import MIN_ANNOTATED_FRAMES, Video
from partprop.metrics.boxes import centre_error, overlap
from partprop.metrics.frames import ABSENT, FrameScore, score_frame


@dataclass(frozen=True)
class SequenceScores:
    """Scores of one sequence by object and frame.

    Attributes:
        name: the sequence's name.
        objects: ids of the objects that the annotations show before the last frame that counts.
        frames: names of the frames that count: all annotated ones but the first and the last.
        j, f: float (objects, frames) in [0, 1]; NaN in frames up to the first that shows the object, where its mask is
            given.
        overlaps: intersection over union of the boxes, (objects, frames); NaN also where the true mask is empty.
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
    prediction: Callable[[str], np.ndarray | None],
    tracks: ObjectBoxes | None = None,
    origin: str = "prediction",
) -> SequenceScores:
    """Score the predictions for one sequence.

    Args:
        sequence: the video with its true masks.
        prediction: gives the label map of a frame by its name: uint8 (H, W), 0 background, object ids; None is empty.
        tracks: boxes of the objects; None takes the boxes around the predicted masks.
        origin: what errors call the source of the predictions, such as their folder.

    Raises:
        UserError: fewer than three annotated frames, or a prediction of other size or with unknown objects.
    """
    return assemble(sequence, score_frames(counted_frames(sequence), prediction, origin), tracks, origin)


Scored = dict[str, dict[int, FrameScore]]
"""By frame and object."""


def score_frames(part: Video, prediction: Callable[[str], np.ndarray | None], origin: str) -> Scored:
    """Scores of each frame of a part of a sequence, all of which are annotated."""
    scored = {}
    for index, frame in enumerate(part.frame_names):
        truth, predicted = _labels(part, index), prediction(frame)
        if predicted is None:
            predicted = np.zeros_like(truth)
        if part.single_object:
            predicted = ((predicted != 0) & (predicted != VOID)).astype(np.uint8)
        if predicted.shape != truth.shape:
            sizes = [f"{labels.shape[1]}x{labels.shape[0]}" for labels in (predicted, truth)]
            raise UserError(
                f"{origin}/{frame}.png: {sizes[0]} pixels where the annotation has {sizes[1]}; write it at that size"
            )
        scored[frame] = score_frame(truth, predicted)
    return scored


def assemble(sequence: Video, scored: Scored, tracks: ObjectBoxes | None, origin: str) -> SequenceScores:
    frames = tuple(scored)
    since = _first_columns(sequence, scored)
    _require_known(sequence, scored, list(since), origin)
    j, f, overlaps, errors = np.full((4, len(since), len(frames)), np.nan)
    for row, (number, first) in enumerate(since.items()):
        for column, frame in enumerate(frames[first:], start=first):
            score = scored[frame].get(number, ABSENT)
            j[row, column], f[row, column] = score.j, score.f
            if score.true_box is not None:
                box = score.box if tracks is None else tracks.get((frame, number))
                overlaps[row, column] = overlap(box, score.true_box)
                errors[row, column] = centre_error(box, score.true_box)
    return SequenceScores(sequence.name, tuple(since), frames, j, f, overlaps, errors)


def _first_columns(sequence: Video, scored: Scored) -> dict[int, int]:
    """By object, in order, the first of the frames that count in which it does: the one after its mask was given.

    Raises:
        UserError: no frame before the last that counts shows an object.
    """
    first = dict.fromkeys(object_ids(_labels(sequence, _annotated(sequence)[0])), 0)
    for column, scores in enumerate(list(scored.values())[:-1], start=1):
        for number, score in scores.items():
            if score.true_box is not None:
                first.setdefault(number, column)
    if not first:
        raise UserError(f"{sequence.name}: no annotation shows an object that could be followed; check its masks")
    return dict(sorted(first.items()))


def _require_known(sequence: Video, scored: Scored, objects: list[int], origin: str) -> None:
    shown = {number for scores in scored.values() for number, score in scores.items() if score.true_box is not None}
    known = shown.union(objects)
    for frame, scores in scored.items():
        unknown = {number for number, score in scores.items() if score.box is not None} - known
        if unknown and unknown.difference(object_ids(_labels(sequence, _annotated(sequence)[-1]))):
            raise UserError(
                f"{origin}/{frame}.png: holds the object {min(unknown)}, but the annotations have only "
                f"{', '.join(map(str, sorted(known)))}; use their ids"
            )


def counted_frames(sequence: Video) -> Video:
    """The frames that count: all annotated ones but the first and the last."""
    annotated = _annotated(sequence)
    if len(annotated) < MIN_ANNOTATED_FRAMES:
        raise UserError(f"{sequence.name}: has {len(annotated)} annotated frames; the protocol needs three or more")
    return sequence.select(annotated[1:-1])


def _annotated(sequence: Video) -> list[int]:
    return [index for index, mask in enumerate(sequence.masks) if mask is not None]


def _labels(sequence: Video, index: int) -> np.ndarray:
    labels = sequence.labels(index)
    assert labels is not None  # only annotated frames are asked for
    return labels
