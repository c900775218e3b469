"""Run the segmenter over a sequence from disk: for validation while training, and for inference."""

from collections.abc import Iterator

import numpy as np

from partprop.base.errors import UserError
from partprop.data.video import Sequence
from partprop.model.network import Network
from partprop.tracking.result import Result
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings

TrackRow = tuple[str, int, int, float, float, float, float, float]


def segment_sequence(network: Network, settings: Settings, sequence: Sequence) -> Iterator[tuple[str, Result]]:
    """Yield each frame's name and result, the first frame with its given mask included.

    Raises:
        UserError: the first frame is not annotated.
    """
    labels = sequence.labels(0)
    if labels is None:
        raise UserError(f"{sequence.frames[0]}: first frame without mask; one-shot segmentation needs one")
    segmenter = Segmenter(network, settings)
    yield sequence.frame_names[0], segmenter.start(sequence.image(0), labels)
    for index in range(1, len(sequence)):
        yield sequence.frame_names[index], segmenter.step(sequence.image(index))


def object_boxes(frame: str, result: Result) -> dict[tuple[str, int], np.ndarray]:
    """The boxes of the whole objects in a frame, keyed as box evaluation wants them."""
    return {(frame, part.object_id): np.array(part.box) for part in result.boxes if part.part == 0}


def track_rows(frame: str, result: Result) -> list[TrackRow]:
    """The rows of tracks.csv for a frame: the boxes of all objects and parts that are seen."""
    rows = []
    for part in result.boxes:
        x1, y1, x2, y2 = (round(side, 2) for side in part.box)
        rows.append((frame, part.object_id, part.part, x1, y1, x2, y2, round(part.score, 4)))
    return rows
