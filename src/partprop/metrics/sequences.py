"""Score label maps, in memory or in folders, by the DAVIS semi-supervised protocol: which frames and objects count."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from partprop.base.errors import UserError
from partprop.data.video import LEAST_ANNOTATED, VOID, Sequence, read_labels
from partprop.metrics.boxes import Tracks, centre_error, overlap, read_tracks
from partprop.metrics.frames import ABSENT, FrameScore, object_ids, score_frame
from partprop.process.libraries import keep_freed_memory

CHUNK = 16  # frames that a process scores at a time

Missing = Literal["error", "empty"]
"""What a prediction that is not there counts as: an error, or an empty mask."""


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
    sequence: Sequence,
    prediction: Callable[[str], np.ndarray | None],
    tracks: Tracks | None = None,
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
    return _assemble(sequence, _score_frames(_counted(sequence), prediction, origin), tracks, origin)


def score_folder(sequence: Sequence, folder: Path, missing: Missing = "error") -> SequenceScores:
    """Score `<folder>/<frame>.png`; boxes come from `<folder>/tracks.csv` if there is one, else from the masks.

    Raises:
        UserError: as for `score_sequence`, or a file is corrupt, or missing where that is an error.
    """
    return score_folders([(sequence, folder)], missing=missing)[0]


def score_folders(
    pairs: Many[tuple[Sequence, Path]], jobs: int = 1, missing: Missing = "error"
) -> list[SequenceScores]:
    """Score each sequence against its folder of predictions, in order, in `jobs` processes; errors as `score_folder`.

    The scores do not depend on the number of processes, and what they need of memory not on the length of the videos.
    """
    parts = [
        (part, folder, missing)
        for sequence, folder in pairs
        for counted in [_counted(sequence)]
        for part in _chunks(counted)
    ]
    workers = min(jobs, len(parts))
    if workers == 1:
        return _gather(pairs, map(_score_part, *zip(*parts, strict=True)))
    # Spawned, not forked: the caller may run threads (MLflow's system metrics), whose locks a fork would copy.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker) as pool:
        with _interrupts_held():  # a pool starts its workers when it is given work
            scored = pool.map(_score_part, *zip(*parts, strict=True))
        return _gather(pairs, scored)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C comes after the block; processes that are begun in it do not get it: it is for their owner to end them."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


Scored = dict[str, dict[int, FrameScore]]
"""By frame and object."""


def _gather(pairs: Many[tuple[Sequence, Path]], parts: Iterator[Scored]) -> list[SequenceScores]:
    scores = []
    for sequence, folder in pairs:
        frames: Scored = {}
        expected = len(_counted(sequence))
        while len(frames) < expected:
            frames |= next(parts)
        file = folder / "tracks.csv"
        scores.append(_assemble(sequence, frames, read_tracks(file) if file.exists() else None, str(folder)))
    return scores


def _score_part(part: Sequence, folder: Path, missing: Missing) -> Scored:
    def prediction(frame: str) -> np.ndarray | None:
        file = folder / f"{frame}.png"
        if file.exists():
            return read_labels(file)
        if missing == "empty":
            return None
        raise UserError(f"{file}: no such prediction; every annotated frame but the first and the last needs one")

    return _score_frames(part, prediction, str(folder))


def _score_frames(part: Sequence, prediction: Callable[[str], np.ndarray | None], origin: str) -> Scored:
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


def _assemble(sequence: Sequence, scored: Scored, tracks: Tracks | None, origin: str) -> SequenceScores:
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


def _first_columns(sequence: Sequence, scored: Scored) -> dict[int, int]:
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


def _require_known(sequence: Sequence, scored: Scored, objects: list[int], origin: str) -> None:
    shown = {number for scores in scored.values() for number, score in scores.items() if score.true_box is not None}
    known = shown.union(objects)
    for frame, scores in scored.items():
        unknown = {number for number, score in scores.items() if score.box is not None} - known
        if unknown and unknown.difference(object_ids(_labels(sequence, _annotated(sequence)[-1]))):
            raise UserError(
                f"{origin}/{frame}.png: holds the object {min(unknown)}, but the annotations have only "
                f"{', '.join(map(str, sorted(known)))}; use their ids"
            )


def _counted(sequence: Sequence) -> Sequence:
    """The frames that count: all annotated ones but the first and the last."""
    annotated = _annotated(sequence)
    if len(annotated) < LEAST_ANNOTATED:
        raise UserError(f"{sequence.name}: has {len(annotated)} annotated frames; the protocol needs three or more")
    return sequence.part(annotated[1:-1])


def _chunks(sequence: Sequence) -> list[Sequence]:
    """Parts of CHUNK frames at most."""
    starts = range(0, len(sequence), CHUNK)
    return [sequence.part(range(start, min(start + CHUNK, len(sequence)))) for start in starts]


def _annotated(sequence: Sequence) -> list[int]:
    return [index for index, mask in enumerate(sequence.masks) if mask is not None]


def _labels(sequence: Sequence, index: int) -> np.ndarray:
    labels = sequence.labels(index)
    assert labels is not None  # only annotated frames are asked for
    return labels


def _start_worker() -> None:
    cv2.setNumThreads(1)
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Workers of a pool whose owner was killed would wait for work forever."""
    owner = parent_process()
    assert owner is not None
    owner.join()
    os._exit(1)
