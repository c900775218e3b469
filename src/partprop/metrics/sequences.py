"""Scores of a sequence under the DAVIS semi-supervised protocol, which decides the frames and objects that count."""

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
        objects: ids of the annotated objects that appear before the last counted frame.
        frames: names of the counted frames: all annotated frames except the first and the last.
        j, f: float (objects, frames) in [0, 1]; NaN up to the frame in which the object first appears, whose mask is
            given.
        overlaps: intersection over union of the boxes, (objects, frames); NaN also where the true mask is empty.
        centre_errors: in pixels, (objects, frames), NaN as in `overlaps`; infinite where there is no predicted box.
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
        prediction: returns the label map of a frame by its name: uint8 (H, W), 0 background, object ids; None if empty.
        tracks: boxes of the objects; None for the bounding boxes of the predicted masks.
        origin: name of the source of the predictions in error messages, such as their folder.

    Raises:
        UserError: there are fewer than three annotated frames, a prediction has another size than the annotation or
            unknown object ids, or no object can be scored.
    """
    return assemble_scores(sequence, score_frames(counted_frames(sequence), prediction, origin), tracks, origin)


FrameScores = dict[str, dict[int, FrameScore]]
"""Scores by frame name and object id."""


def score_frames(part: Video, prediction: Callable[[str], np.ndarray | None], origin: str) -> FrameScores:
    """Score every frame of a part of a sequence; all its frames are annotated. Arguments as in `score_sequence`."""
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


def assemble_scores(sequence: Video, scored: FrameScores, tracks: ObjectBoxes | None, origin: str) -> SequenceScores:
    """Put the scores of all counted frames of a sequence, in order, into arrays. Arguments as in `score_sequence`.

    Raises:
        UserError: a prediction has unknown object ids, or no object can be scored.
    """
    frames = tuple(scored)
    first_columns = _first_columns(sequence, scored)
    _require_known_ids(sequence, scored, list(first_columns), origin)
    j, f, overlaps, errors = np.full((4, len(first_columns), len(frames)), np.nan)
    for row, (number, first) in enumerate(first_columns.items()):
        for column, frame in enumerate(frames[first:], start=first):
            score = scored[frame].get(number, ABSENT)
            j[row, column], f[row, column] = score.j, score.f
            if score.true_box is not None:
                box = score.box if tracks is None else tracks.get((frame, number))
                overlaps[row, column] = overlap(box, score.true_box)
                errors[row, column] = centre_error(box, score.true_box)
    return SequenceScores(sequence.name, tuple(first_columns), frames, j, f, overlaps, errors)


def _first_columns(sequence: Video, scored: FrameScores) -> dict[int, int]:
    """Index of the first counted frame of each object, by id in order: the frame after its first annotation.

    Raises:
        UserError: no object appears before the last counted frame.
    """
    first = dict.fromkeys(object_ids(_labels(sequence, _annotated(sequence)[0])), 0)
    for column, scores in enumerate(list(scored.values())[:-1], start=1):
        for number, score in scores.items():
            if score.true_box is not None:
                first.setdefault(number, column)
    if not first:
        raise UserError(f"{sequence.name}: no annotated object appears before the last counted frame; check the masks")
    return dict(sorted(first.items()))


def _require_known_ids(sequence: Video, scored: FrameScores, objects: list[int], origin: str) -> None:
    shown = {number for scores in scored.values() for number, score in scores.items() if score.true_box is not None}
    known = shown.union(objects)
    for frame, scores in scored.items():
        unknown = {number for number, score in scores.items() if score.box is not None} - known
        # the last annotated frame is not scored, but its ids are valid
        if unknown and unknown.difference(object_ids(_labels(sequence, _annotated(sequence)[-1]))):
            raise UserError(
                f"{origin}/{frame}.png: has the object id {min(unknown)}, but the annotations have only "
                f"{', '.join(map(str, sorted(known)))}; use their ids"
            )


def counted_frames(sequence: Video) -> Video:
    """The part of a sequence that counts: all annotated frames except the first and the last.

    Raises:
        UserError: fewer than three frames are annotated.
    """
    annotated = _annotated(sequence)
    if len(annotated) < MIN_ANNOTATED_FRAMES:
        raise UserError(
            f"{sequence.name}: {len(annotated)} annotated frames, but the protocol needs at least three; annotate more"
        )
    return sequence.select(annotated[1:-1])


def _annotated(sequence: Video) -> list[int]:
    return [index for index, mask in enumerate(sequence.masks) if mask is not None]


def _labels(sequence: Video, index: int) -> np.ndarray:
    labels = sequence.labels(index)
    assert labels is not None  # only annotated frames are read here
    return labels
