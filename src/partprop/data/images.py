"""Reading image files. A missing or broken image becomes a one-line error here and nowhere else.

Pillow, not OpenCV: OpenCV fills the missing part of a truncated JPEG with grey and reports success, and it rotates
images by their EXIF tag, which the annotations of COCO and DAVIS ignore.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from partprop.base.errors import UserError

# Raised by Pillow's decoders on truncated or overwritten files.
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
        UserError: the file is missing, not an image, truncated, corrupt or unreadable, also if that shows inside the
            block.
    """
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise UserError(f"{path}: no such image; restore it, or remove the reference to it") from None
    except _DECODE_ERRORS as error:
        if isinstance(error, OSError) and error.strerror:  # from the operating system; Pillow's own errors have none
            raise UserError(f"{path}: cannot be read ({error.strerror}); correct this and run again") from None
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a readable image ({reason}); replace the file") from None


def read_rgb(path: Path) -> np.ndarray:
    """Decode an image to uint8 (H, W, 3), RGB.

    Raises:
        UserError: the file is missing, not an image, truncated or corrupt.
    """
    with open_image(path) as image:
        return np.array(image.convert("RGB"))


def decoded_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels, after decoding the whole file; JPEGs are decoded at 1/8 of their size, for speed.

    Raises:
        UserError: the file is missing, not an image, truncated or corrupt.
    """
    with open_image(path) as image:
        width, height = image.size
        image.draft("L", (max(1, width // 8), max(1, height // 8)))
        image.load()
        return width, height


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels from the file's header, without decoding the pixels.

    Raises:
        UserError: the file is missing or not an image.
    """
    with open_image(path) as image:
        return image.size
