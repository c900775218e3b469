"""The segmenter as a single-object box tracker under the supervised protocol of VOT."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from partprop.data.labels import mask_box, object_ids
from partprop.data.tracks import object_boxes
from partprop.data.video import Video
from partprop.evaluation.vot.protocol import Box, SupervisedRun, supervise
from partprop.model.network import Network
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings


def supervise_sequence(
    network: Network, settings: Settings, sequence: Video, tracked: Mapping[tuple[str, int], np.ndarray]
) -> dict[int, SupervisedRun]:
    """Run the supervised protocol for each object of the first mask; returned by object id.

    Args:
        network, settings: as for `Segmenter`.
        sequence: a video; in frames without a mask the object counts as hidden.
        tracked: boxes (4,) of an ordinary run over the whole video, by frame name and object id. They serve as the run
            that starts in the first frame. Only restarts are computed, with the object alone.
    """

    def track(number: int, start: int) -> Iterator[Box]:
        if start == 0:
            yield from (tracked.get((frame, number)) for frame in sequence.frame_names[1:])
        else:
            yield from _track_from(Segmenter(network, settings), sequence, start, number)

    return {number: supervise(boxes, partial(track, number)) for number, boxes in _true_boxes(sequence).items()}


def _true_boxes(sequence: Video) -> dict[int, list[Box]]:
    """True boxes of the objects of the first mask by id, one per frame."""
    boxes: dict[int, list[Box]] = {}
    for index in range(len(sequence)):
        labels = sequence.labels(index)
        if index == 0 and labels is not None:
            boxes = {number: [] for number in object_ids(labels)}
        for number, found in boxes.items():
            found.append(None if labels is None else mask_box(labels == number))
    return boxes


def _track_from(segmenter: Segmenter, sequence: Video, start: int, number: int) -> Iterator[Box]:
    """Yield the boxes of one object in the frames after `start`, in which its true mask is given."""
    labels = sequence.labels(start)
    assert labels is not None  # the tracker starts only in frames that show the object
    segmenter.start(sequence.image(start), np.where(labels == number, labels, 0))
    for index in range(start + 1, len(sequence)):
        frame = sequence.frame_names[index]
        yield object_boxes(frame, segmenter.step(sequence.image(index)).boxes).get((frame, number))
