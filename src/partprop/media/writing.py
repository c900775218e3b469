"""Video that every browser plays: H.264 in MP4, with the times of its frames and, if wanted, sound."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.media.reading import ffmpeg_address
from partprop.media.sound import Soundtrack, SoundWriter, find_sound

CRF = 20  # x264's constant rate factor: hardly any visible loss
LOOKAHEAD = 10  # frames that x264 buffers, not 40 as by default: saves 80 MB at 854x480 and files get no larger
CLOCK = Fraction(1, 90000)  # unit of time stamps, as in MPEG: a frame lasts a whole number of them at all usual rates

AddFrame = Callable[[np.ndarray, Fraction], None]


@contextmanager
def video_writer(
    target: Path | BytesIO,
    size: tuple[int, int],
    rate: Fraction,
    sound: Soundtrack | None = None,
    pixel_aspect: Fraction = Fraction(1),
    *,
    crf: int = CRF,
    reproducible: bool = False,
) -> Iterator[AddFrame]:
    """Write a video.

    Args:
        target: a path ending in .mp4, which appears when the block ends without an error; or a buffer.
        size: (height, width) of the frames; an odd last row or column is cut off, since the video needs even sizes.
        rate: frames per second, on average.
        sound: the video that the frames come from, whose sound is added; None for a silent video.
        pixel_aspect: width of a displayed pixel over its height.
        crf: x264's constant rate factor, 0 (lossless) to 51.
        reproducible: equal frames give equal bytes on every machine; takes one thread.

    Yields:
        A function to call with each frame, uint8 (H, W, 3), RGB, and its time in seconds in the original video. The new
        video starts with the first frame.

    Raises:
        UserError: the frames are too small for H.264.
    """
    height, width = size[0] // 2 * 2, size[1] // 2 * 2
    if 0 in (height, width):
        name = target if isinstance(target, Path) else "video"
        raise UserError(
            f"{name}: frames of {size[1]}x{size[0]} pixels are too small for H.264; omit it or enlarge them"
        )
    with ExitStack() as stack:
        container = stack.enter_context(_open_mp4(stack, target, reproducible))
        options = {"crf": str(crf), "rc-lookahead": str(LOOKAHEAD)} | ({"threads": "1"} if reproducible else {})
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.sample_aspect_ratio = CLOCK, pixel_aspect
        voice = None if sound is None else _open_sound(stack, container, sound)
        start: Fraction | None = None
        end = Fraction(0)

        def add(image: np.ndarray, time: Fraction) -> None:
            nonlocal start, end
            start, end = time if start is None else start, time + 1 / rate
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            frame.pts, frame.time_base = round((time - start) / CLOCK), CLOCK
            container.mux(stream.encode(frame))
            if voice is not None:
                voice.write(start, time)

        yield add
        container.mux(stream.encode())
        if voice is not None:
            if start is not None:
                voice.write(start, end)
            voice.finish()


def _open_mp4(stack: ExitStack, target: Path | BytesIO, reproducible: bool) -> OutputContainer:
    options = {"fflags": "+bitexact"} if reproducible else {}
    if isinstance(target, Path):
        file = ffmpeg_address(stack.enter_context(atomic_write(target)))
        return av.open(file, "w", format="mp4", options=options | {"movflags": "faststart"})
    return av.open(target, "w", format="mp4", options=options)  # faststart would read the file again


def _open_sound(stack: ExitStack, container: OutputContainer, sound: Soundtrack) -> SoundWriter | None:
    original = find_sound(stack.enter_context(av.open(ffmpeg_address(sound.path))))
    return None if original is None else SoundWriter(container, original, sound.origin)
