"""A result as a film: every frame with its overlay, as H.264 that browsers play."""

from io import BytesIO
from pathlib import Path

import av
import numpy as np

from partprop.data.video import Video
from partprop.report.stills import overlays

FRAME_RATE = 12  # about half the speed at which videos of DAVIS were taken, so that one can see what happens
QUALITY = "27"  # x264's constant rate factor


def film(sequence: Video, result: Path) -> bytes:
    """An MP4 of all frames of `sequence` with the masks and tracks.csv of the folder `result` drawn on them.

    The same files give the same bytes.

    Raises:
        UserError: tracks.csv, a frame or a mask is missing or unreadable.
    """
    content = BytesIO()
    with av.open(content, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": QUALITY, "threads": "1"})
        stream.pix_fmt = "yuv420p"
        for number, (_, picture) in enumerate(overlays(sequence, result, range(len(sequence)))):
            even = np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
            if number == 0:
                stream.height, stream.width = even.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode())
    return content.getvalue()
