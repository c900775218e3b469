"""Score folders of label maps in several processes."""

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
from partprop.metrics.sequences import Scored, SequenceScores, assemble, counted_frames, score_frames
from partprop.process.allocator import keep_freed_pages

CHUNK = 16  # frames that a process scores at a time

Missing = Literal["error", "empty"]
"""What a prediction that is not there counts as: an error, or an empty mask."""


def score_folder(sequence: Video, folder: Path, missing: Missing = "error") -> SequenceScores:
    """Score `<folder>/<frame>.png`; boxes come from `<folder>/tracks.csv` if there is one, else from the masks.

    Raises:
        UserError: as for `score_sequence`, or a file is corrupt, or missing where that is an error.
    """
    return score_folders([(sequence, folder)], missing=missing)[0]


def score_folders(
    pairs: Sequence[tuple[Video, Path]], jobs: int = 1, missing: Missing = "error"
) -> list[SequenceScores]:
    """Score each sequence against its folder of predictions, in order, in `jobs` processes; errors as `score_folder`.

    The scores do not depend on the number of processes, and what they need of memory not on the length of the videos.
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
    # Spawned, not forked: the caller may run threads (MLflow's system metrics), whose locks a fork would copy.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker) as pool:
        with interrupts_held():  # a pool starts its workers when it is given work
            scored = pool.map(_score_part, *zip(*parts, strict=True))
        return _gather(pairs, scored)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C comes after the block; processes that are begun in it do not get it: it is for their owner to end them."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _gather(pairs: Sequence[tuple[Video, Path]], parts: Iterator[Scored]) -> list[SequenceScores]:
    scores = []
    for sequence, folder in pairs:
        frames: Scored = {}
        expected = len(counted_frames(sequence))
        while len(frames) < expected:
            frames |= next(parts)
        file = folder / "tracks.csv"
        scores.append(assemble(sequence, frames, read_object_boxes(file) if file.exists() else None, str(folder)))
    return scores


def _score_part(part: Video, folder: Path, missing: Missing) -> Scored:
    def prediction(frame: str) -> np.ndarray | None:
        file = folder / f"{frame}.png"
        if file.exists():
            return read_labels(file)
        if missing == "empty":
            return None
        raise UserError(f"{file}: no such prediction; every annotated frame but the first and the last needs one")

    return score_frames(part, prediction, str(folder))


def _chunks(sequence: Video) -> list[Video]:
    """Parts of CHUNK frames at most."""
    starts = range(0, len(sequence), CHUNK)
    return [sequence.select(range(start, min(start + CHUNK, len(sequence)))) for start in starts]


def _start_worker() -> None:
    cv2.setNumThreads(1)
    keep_freed_pages()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Workers of a pool whose owner was killed would wait for work forever."""
    owner = parent_process()
    assert owner is not None
    owner.join()
    os._exit(1)
