"""Label maps and their PNG files as in DAVIS: palette images of object ids, or one object in black and white."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.data.images import open_image

VOID = 255
MAX_GREY_ID = 127  # higher grey values are soft edges of a resized or JPEG-compressed mask, not object ids


def read_labels(path: Path) -> np.ndarray:
    """Read a mask file: uint8 (H, W), 0 background, object ids from 1, 255 void.

    Palette indices and grey values up to 127 are object ids, and 255 is void. A 1-bit mask, or a grey one with the
    values 0 and 255 only, shows one object with id 1. Three equal channels are read as grey.

    Raises:
        UserError: the file is missing or corrupt, or has 16 bits, colours, transparency or soft grey edges.
    """
    with open_image(path) as image:
        mode, values = image.mode, np.array(image)
    if mode == "RGB" and (values == values[..., :1]).all():
        mode, values = "L", values[..., 0]
    if mode == "1":
        return values.astype(np.uint8)
    if mode == "P":
        return values
    if mode != "L":
        raise UserError(f"{path}: mask is stored as {mode}; save it as 8-bit palette, 8-bit grey or 1-bit PNG")
    highest = int((values + np.uint8(1)).max()) - 1  # below 255, which wraps to 0; -1 if all are 255
    if highest <= 0:
        return (values == VOID).astype(np.uint8)
    if highest > MAX_GREY_ID:
        raise UserError(
            f"{path}: grey mask with the value {highest}, which is not 0, 255 or an object id up to {MAX_GREY_ID}; "
            "save it without smoothing, or as a palette PNG"
        )
    return values


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write a label map as a palette PNG with the colours of DAVIS; equal labels give equal bytes.

    Args:
        path: a file name ending in .png.
        labels: uint8 (H, W), 0 background, object ids, 255 void.
    """
    image = Image.fromarray(np.ascontiguousarray(labels), mode="L")
    image.putpalette(_PALETTE)
    with atomic_write(path) as temporary:
        image.save(temporary, format="PNG", compress_level=6)


def object_ids(labels: np.ndarray) -> list[int]:
    """The object ids in a label map, uint8 (H, W), in ascending order, without background (0) and void (255)."""
    return [number for number in ids_with_void(labels) if number != VOID]


def ids_with_void(labels: np.ndarray) -> list[int]:
    """The object ids in a label map, uint8 (H, W), in ascending order, followed by 255 if it has void pixels."""
    highest = int(labels.max())
    if highest <= 1:  # the most frequent case; the histogram takes ten times as long
        return [1] * highest
    counts = cv2.calcHist([labels], [0], None, [VOID + 1], [0, VOID + 1]).ravel()
    return [int(number) for number in np.flatnonzero(counts) if number]


def mask_box(mask: np.ndarray) -> np.ndarray | None:
    """The bounding box of a mask, bool or uint8 (H, W).

    Returns:
        float32 (4,), x1, y1, x2, y2 along pixel edges; None for an empty mask.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return np.array([x, y, x + width, y + height], np.float32) if width else None


def davis_palette() -> np.ndarray:
    """The 256 colours of DAVIS and PASCAL VOC, uint8 (256, 3): the index bits, distributed over R, G and B in turn."""
    index = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


_PALETTE = davis_palette().tobytes()
