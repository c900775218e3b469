"""Pictures of a result: a few frames of a sequence with the predicted mask, the true contour and the tracked boxes."""

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
    """One frame of a film strip as a JPEG."""

    frame: str
    jpeg: bytes


def film_strip(sequence: Video, result: Path) -> list[Still]:
    """Evenly spaced frames of `sequence`, drawn as by `overlays`, which see for arguments and errors."""
    indices = np.unique(np.linspace(0, len(sequence) - 1, FRAMES).round().astype(int))
    return [Still(frame, _jpeg(picture)) for frame, picture in overlays(sequence, result, indices)]


def overlays(sequence: Video, result: Path, indices: Iterable[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures, as of `overlay`, of some frames, with the masks and tracks.csv of the folder `result`.

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
