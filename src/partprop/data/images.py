"""Reading image files: the one place where a missing or broken image becomes a one-line error.

Pillow, not OpenCV: OpenCV fills the missing part of a truncated JPEG with grey and reports success, and it turns
pictures by their EXIF tag, which the annotations of COCO and DAVIS do not follow.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from partprop.base.errors import UserError

# What Pillow's decoders raise on files that are cut or overwritten.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file with Pillow; the pixels are decoded on first use inside the block.

    Raises:
        UserError: the file is missing, no image, truncated or corrupt, or cannot be read.
    """
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise UserError(f"{path}: no such image; restore it, or remove what names it") from None
    except _DECODE_ERRORS as error:
        if isinstance(error, OSError) and error.strerror:  # of the operating system; Pillow's own have none
            raise UserError(f"{path}: cannot be read ({error.strerror}); see to it and run again") from None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a readable image ({reason}); replace the file") from None


def read_rgb(path: Path) -> np.ndarray:
    """Decode an image to uint8 (H, W, 3), RGB.

    Raises:
        UserError: the file is missing, no image, truncated or corrupt.
    """
    with open_image(path) as image:
        return np.array(image.convert("RGB"))


def decoded_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels of an image that was read to its end; JPEGs at an eighth of their size, for speed.

    Raises:
        UserError: the file is missing, no image, truncated or corrupt.
    """
    with open_image(path) as image:
        width, height = image.size
        image.draft("L", (max(1, width // 8), max(1, height // 8)))
        image.load()
        return width, height


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels from the file's header, without decoding the pixels.

    Raises:
        UserError: the file is missing or no image.
    """
    with open_image(path) as image:
        return image.size
