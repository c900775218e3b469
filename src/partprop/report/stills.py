"""Stills of a result: frames with the predicted masks, the true contours and the tracked boxes drawn on them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from partprop.data.labels import read_labels
from partprop.data.tracks import read_part_boxes
from partprop.data.video import Video
from partprop.media.drawing import overlay

FRAMES = 5


@dataclass(frozen=True)
class Still:
    """One frame of a film strip: its name, and the picture as JPEG."""

    frame: str
    jpeg: bytes


def film_strip(sequence: Video, result: Path) -> list[Still]:
    """Draw up to FRAMES evenly spaced frames, first and last included. Arguments and errors as in `overlays`."""
    indices = np.unique(np.linspace(0, len(sequence) - 1, FRAMES).round().astype(int))
    return [Still(frame, _jpeg(picture)) for frame, picture in overlays(sequence, result, indices)]


def overlays(sequence: Video, result: Path, indices: Iterable[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Draw some frames of a sequence with their masks and boxes.

    Args:
        sequence: the video; true contours are drawn where it is annotated.
        result: folder with `<frame>.png` for each frame, and tracks.csv.
        indices: positions of the frames in the sequence.

    Yields:
        The name of each frame and its picture, uint8 (h, w, 3), see `overlay`.

    Raises:
        UserError: tracks.csv, a frame or a mask is missing or unreadable.
    """
    tracks = read_part_boxes(result / "tracks.csv")
    for index in indices:
        frame = sequence.frame_names[index]
        predicted = read_labels(result / f"{frame}.png")
        yield frame, overlay(sequence.image(index), predicted, sequence.labels(index), tracks.get(frame, ()))


def _jpeg(picture: np.ndarray) -> bytes:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 86])
    return data.tobytes()
