"""A result as a video: every frame with its overlay."""

from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path

from partprop.data.video import Video
from partprop.media.writing import video_writer
from partprop.report.stills import overlays

FRAME_RATE = Fraction(12)  # about half the speed at which the videos of DAVIS were taken, so that details can be seen
CRF = 27  # x264's constant rate factor: small files for the report page


def film(sequence: Video, result: Path) -> bytes:
    """Encode all frames of a sequence with masks and boxes drawn on them, as MP4.

    Args:
        sequence: the video; true contours are drawn where it is annotated.
        result: folder with `<frame>.png` for each frame, and tracks.csv.

    Returns:
        The bytes of the MP4 file; equal inputs give equal bytes.

    Raises:
        UserError: tracks.csv, a frame or a mask is missing or unreadable.
    """
    content = BytesIO()
    pictures = (picture for _, picture in overlays(sequence, result, range(len(sequence))))
    first = next(pictures)
    with video_writer(content, first.shape[:2], FRAME_RATE, crf=CRF, reproducible=True) as add:
        for number, picture in enumerate(chain([first], pictures)):
            add(picture, number / FRAME_RATE)
    return content.getvalue()
