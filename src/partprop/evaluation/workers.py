"""Scores of folders of predictions, computed in several processes."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import read_labels
from partprop.data.tracks import read_object_boxes
from partprop.data.video import Video
from partprop.metrics.sequences import FrameScores, SequenceScores, assemble_scores, counted_frames, score_frames
from partprop.process.allocator import keep_freed_pages

CHUNK = 16  # frames per task of a process

Missing = Literal["error", "empty"]
"""How a missing prediction counts: as an error, or as an empty mask."""


def score_folder(sequence: Video, folder: Path, missing: Missing = "error") -> SequenceScores:
    """Score `<folder>/<frame>.png`; boxes are read from `<folder>/tracks.csv` if it exists, else taken from the masks.

    Raises:
        UserError: as in `score_sequence`; or a file is corrupt, or missing while `missing` is "error".
    """
    return score_folders([(sequence, folder)], missing=missing)[0]


def score_folders(
    pairs: Sequence[tuple[Video, Path]], jobs: int = 1, missing: Missing = "error"
) -> list[SequenceScores]:
    """Score each sequence against its folder of predictions in up to `jobs` processes; returned in order.

    The scores do not depend on the number of processes, nor the memory on the length of the videos.

    Raises:
        UserError: as in `score_folder`.
    """
    parts = [
        (part, folder, missing)
        for sequence, folder in pairs
        for counted in [counted_frames(sequence)]
        for part in _chunks(counted)
    ]
    workers = min(jobs, len(parts))
    if workers == 1:
        return _gather(pairs, map(_score_part, *zip(*parts, strict=True)))
    # Spawned instead of forked: a fork would copy locks held by the caller's threads, such as MLflow's system metrics.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker) as pool:
        with sigint_blocked():  # the pool starts its workers when it receives the tasks
            scored = pool.map(_score_part, *zip(*parts, strict=True))
        return _gather(pairs, scored)


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block. Processes started in it never receive Ctrl-C; the caller ends them."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _gather(pairs: Sequence[tuple[Video, Path]], parts: Iterator[FrameScores]) -> list[SequenceScores]:
    scores = []
    for sequence, folder in pairs:
        frames: FrameScores = {}
        expected = len(counted_frames(sequence))
        while len(frames) < expected:
            frames |= next(parts)
        file = folder / "tracks.csv"
        scores.append(
            assemble_scores(sequence, frames, read_object_boxes(file) if file.exists() else None, str(folder))
        )
    return scores


def _score_part(part: Video, folder: Path, missing: Missing) -> FrameScores:
    def prediction(frame: str) -> np.ndarray | None:
        file = folder / f"{frame}.png"
        if file.exists():
            return read_labels(file)
        if missing == "empty":
            return None
        raise UserError(f"{file}: no such prediction; predict every annotated frame except the first and the last")

    return score_frames(part, prediction, str(folder))


def _chunks(sequence: Video) -> list[Video]:
    """Split a sequence into parts of at most CHUNK frames."""
    starts = range(0, len(sequence), CHUNK)
    return [sequence.select(range(start, min(start + CHUNK, len(sequence)))) for start in starts]


def _start_worker() -> None:
    cv2.setNumThreads(1)
    keep_freed_pages()
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the parent process ends. Workers of a killed parent would wait for tasks forever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
