"""Pictures of a result: a few frames of a sequence with the predicted mask, the true contour and the tracked boxes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from partprop.base.files import reading_csv
from partprop.data.video import VOID, Sequence, read_labels
from partprop.tracking.result import TRACK_COLUMNS, PartBox

FRAMES = 5
WIDTH = 480  # pixels of a picture on the page
TRUE_CONTOUR = (240, 228, 66)
PART_BOX = (255, 255, 255)
OBJECTS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (0, 114, 178))
"""RGB of object 1, 2, …, repeated: Okabe and Ito's colour-blind-safe palette."""


@dataclass(frozen=True)
class Still:
    """One frame of a film strip as a JPEG."""

    frame: str
    jpeg: bytes


def film_strip(sequence: Sequence, result: Path) -> list[Still]:
    """Evenly spaced frames of `sequence`, drawn as by `overlays`, which see for arguments and errors."""
    indices = np.unique(np.linspace(0, len(sequence) - 1, FRAMES).round().astype(int))
    return [Still(frame, _jpeg(picture)) for frame, picture in overlays(sequence, result, indices)]


def overlays(sequence: Sequence, result: Path, indices: Iterable[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures, as of `overlay`, of some frames, with the masks and tracks.csv of the folder `result`.

    Raises:
        UserError: tracks.csv, a frame or a mask is missing or unreadable.
    """
    tracks = _read_tracks(result / "tracks.csv")
    for index in indices:
        frame = sequence.frame_names[index]
        predicted = read_labels(result / f"{frame}.png")
        yield frame, overlay(sequence.image(index), predicted, sequence.labels(index), tracks.get(frame, ()))


def overlay(
    image: np.ndarray, predicted: np.ndarray, true: np.ndarray | None, boxes: Iterable[PartBox], width: int = WIDTH
) -> np.ndarray:
    """Draw one frame's result.

    Args:
        image: uint8 (H, W, 3), RGB.
        predicted: uint8 (H, W), 0 background or the object's id; the mask is tinted in the object's colour.
        true: as `predicted`, 255 void, or None where the frame is not annotated; outlined in yellow.
        boxes: in pixels of `image`; parts in white, whole objects (part 0) in the object's colour.
        width: of the picture, in pixels.

    Returns:
        uint8 (width · H / W, width, 3), RGB.
    """
    scale = width / image.shape[1]
    size = (width, round(image.shape[0] * scale))
    picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    for number in _objects(predicted):
        mask = _resized(np.equal(predicted, number), size)
        tint = np.array(_colour(number), dtype=np.float32)
        picture[mask] = (0.55 * picture[mask] + 0.45 * tint).round().astype(np.uint8)
        _outline(picture, mask, _colour(number))
    for part in sorted(boxes, key=lambda part: (part.object_id, -part.part)):
        x1, y1, x2, y2 = (round(side * scale) for side in part.box)
        whole = part.part == 0
        cv2.rectangle(picture, (x1, y1), (x2, y2), _colour(part.object_id) if whole else PART_BOX, 2 if whole else 1)
    if true is not None:
        for number in _objects(true):
            _outline(picture, _resized(np.equal(true, number), size), TRUE_CONTOUR)
    return picture


def _read_tracks(path: Path) -> Mapping[str, list[PartBox]]:
    """The boxes in a tracks.csv, by the name of their frame."""
    tracks = defaultdict(list)
    with reading_csv(path, TRACK_COLUMNS, "run the infer stage again") as table:
        for row in table:
            x1, y1, x2, y2, score = (float(row[column]) for column in TRACK_COLUMNS[3:])
            tracks[row["frame"]].append(PartBox(int(row["object"]), int(row["part"]), (x1, y1, x2, y2), score))
    return tracks


def _objects(labels: np.ndarray) -> list[int]:
    return [int(number) for number in np.unique(labels) if number not in (0, VOID)]


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boolean `mask` at `size` (width, height), with smooth edges where it is enlarged."""
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5


def _outline(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, 2, cv2.LINE_AA)


def _colour(number: int) -> tuple[int, int, int]:
    return OBJECTS[(number - 1) % len(OBJECTS)]


def _jpeg(picture: np.ndarray) -> bytes:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 86])
    return data.tobytes()
