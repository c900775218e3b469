"""Analyse failures on the held-out training sequences: J, F, missed and excess area, and pictures of the worst frames.

    .venv/bin/python scripts/failures.py

Segments the sequences of train_tracking.held_out in data/davis with models/tracker.safetensors. For each sequence,
writes a picture of the frames with the lowest J to reports/failures/: mask tinted, true contour in yellow, parts in
white. All objects of a video count as one; frames without the object are ignored.
"""

import argparse
import sys

import cv2
import numpy as np
import pandas as pd

from partprop.base import paths
from partprop.base.errors import UserError
from partprop.base.paths import PARAMS
from partprop.base.threads import use_threads
from partprop.data.labels import VOID
from partprop.data.video import Video, open_davis
from partprop.media.drawing import overlay
from partprop.metrics.davis import boundary_f, jaccard
from partprop.model.network import Network
from partprop.params import load_params
from partprop.pipeline.trained import load_trained
from partprop.tracking.result import Result
from partprop.tracking.settings import Settings
from partprop.tracking.validation import split_held_out
from partprop.tracking.videos import segment_sequence

OUTPUT = paths.REPORTS / "failures"
WORST = 6  # number of frames in a picture
APART = 3  # minimum distance of two of them, in frames


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    try:
        params = load_params(PARAMS)
        use_threads(params.train_tracking.threads)
        network, settings = load_trained(params)
        sequences = open_davis(paths.DAVIS, "train", params.data.davis.year)
        _, held_out = split_held_out(sequences, params.train_tracking.held_out)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        print(f"{'sequence':16s}    J      F    missed    excess  lost frames")
        for sequence in held_out:
            print(describe(sequence, network, settings), flush=True)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def describe(sequence: Video, network: Network, settings: Settings) -> str:
    """Segment a sequence, write its picture, and return a line of measures.

    Missed and excess area are shares of the area of the true mask; all values are means over the frames.
    """
    results = [result for _, result in segment_sequence(network, settings, sequence)]
    shown = [index for index in range(1, len(sequence) - 1) if _foreground(sequence, index).any()]
    if not shown:
        return f"{sequence.name:16s} no object in the annotated frames between the first and the last"
    rows = [_compare(sequence, index, results[index]) for index in shown]
    table = pd.DataFrame(rows, columns=["J", "F", "missed", "excess", "lost"], index=shown)
    _draw(sequence, results, table["J"])
    j, f, missed, excess, _ = table.mean()
    return f"{sequence.name:16s} {j:6.3f} {f:6.3f} {missed:8.3f} {excess:9.3f} {int(table['lost'].sum()):12d}"


def _compare(sequence: Video, index: int, result: Result) -> tuple[float, float, float, float, bool]:
    true, found = _foreground(sequence, index), result.labels > 0
    missed, excess = (true & ~found).sum() / true.sum(), (found & ~true).sum() / true.sum()
    return jaccard(found, true), boundary_f(found, true), missed, excess, not found.any()


def _foreground(sequence: Video, index: int) -> np.ndarray:
    """The mask of all objects in a frame, bool (H, W); (1, 1) and empty if it is not annotated."""
    labels = sequence.labels(index)
    return np.zeros((1, 1), bool) if labels is None else (labels > 0) & (labels != VOID)


def _draw(sequence: Video, results: list[Result], j: pd.Series) -> None:
    chosen: list[int] = []
    for index in j.sort_values().index:
        if len(chosen) < WORST and all(abs(index - other) >= APART for other in chosen):
            chosen.append(index)
    pictures = []
    for index in sorted(chosen):
        result = results[index]
        picture = overlay(sequence.image(index), result.labels, sequence.labels(index), result.boxes)
        label = f"{sequence.frame_names[index]}  J {j[index]:.2f}"
        pictures.append(cv2.putText(picture, label, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2))
    pictures += [np.zeros_like(pictures[0])] * (-len(pictures) % 3)
    rows = [np.hstack(pictures[start : start + 3]) for start in range(0, len(pictures), 3)]
    cv2.imwrite(str(OUTPUT / f"{sequence.name}.jpg"), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
