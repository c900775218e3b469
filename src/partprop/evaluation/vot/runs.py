"""The segmenter as a tracker of single boxes, for the supervised protocol of VOT."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from partprop.data.labels import mask_box, object_ids
from partprop.data.tracks import object_boxes
from partprop.data.video import Video
from partprop.evaluation.vot.protocol import Box, Supervised, supervise
from partprop.model.network import Network
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings


def supervise_sequence(
    network: Network, settings: Settings, sequence: Video, tracked: Mapping[tuple[str, int], np.ndarray]
) -> dict[int, Supervised]:
    """Runs of each object of the first mask, by its id.

    Args:
        sequence: frames without a mask count as if they did not show the object.
        tracked: the boxes of an ordinary run from the first frame on, as of `object_boxes`. Only what comes after a
            failure is tracked anew, the object by itself.
    """

    def track(number: int, start: int) -> Iterator[Box]:
        if start == 0:
            yield from (tracked.get((frame, number)) for frame in sequence.frame_names[1:])
        else:
            yield from _follow(Segmenter(network, settings), sequence, start, number)

    return {number: supervise(boxes, partial(track, number)) for number, boxes in _true_boxes(sequence).items()}


def _true_boxes(sequence: Video) -> dict[int, list[Box]]:
    """Of the objects of the first mask, by id, one for each frame."""
    boxes: dict[int, list[Box]] = {}
    for index in range(len(sequence)):
        labels = sequence.labels(index)
        if index == 0 and labels is not None:
            boxes = {number: [] for number in object_ids(labels)}
        for number, found in boxes.items():
            found.append(None if labels is None else mask_box(labels == number))
    return boxes


def _follow(segmenter: Segmenter, sequence: Video, start: int, number: int) -> Iterator[Box]:
    """Boxes of one object in the frames after `start`, where its mask is given."""
    labels = sequence.labels(start)
    assert labels is not None  # a tracker is only started where the object is shown
    segmenter.start(sequence.image(start), np.where(labels == number, labels, 0))
    for index in range(start + 1, len(sequence)):
        frame = sequence.frame_names[index]
        yield object_boxes(frame, segmenter.step(sequence.image(index)).boxes).get((frame, number))
