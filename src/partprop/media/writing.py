"""Films that every browser plays: H.264 in MP4, with the frames' times and the sound of the video they are made of."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer

from partprop.files import replacing

QUALITY = "20"  # x264's constant rate factor: hardly to be told from the input
CLOCK = Fraction(1, 90000)  # of the frames' times: that of MPEG, in which all usual frame rates are whole


@contextmanager
def film_writer(
    path: Path, size: tuple[int, int], rate: Fraction, sound_of: Path | None = None, start: Fraction = Fraction(0)
) -> Iterator[Callable[[np.ndarray, Fraction], None]]:
    """Write a film; it appears under its name when the block ends, and not at all where an error ends it.

    Args:
        path: ending in .mp4.
        size: (height, width) of the frames; an odd last row or column is cut off, since H.264 has none.
        rate: frames per second, on average.
        sound_of: a video whose sound is taken over, if it has any; None: a silent film.
        start: seconds of that video at which the film begins.

    Yields:
        A function to call with each frame, uint8 (H, W, 3), RGB, and its time in seconds from the film's beginning.
    """
    height, width = size[0] // 2 * 2, size[1] // 2 * 2
    with replacing(path) as temporary, ExitStack() as stack:
        container = stack.enter_context(av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}))
        stream = container.add_stream("libx264", rate=rate, options={"crf": QUALITY})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.time_base = CLOCK
        add_sound = _sound_writer(container, stack, sound_of, start)

        def add(image: np.ndarray, time: Fraction) -> None:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            frame.pts, frame.time_base = round(time / CLOCK), CLOCK
            container.mux(stream.encode(frame))
            add_sound(time)

        yield add
        container.mux(stream.encode())


def _sound_writer(
    container: OutputContainer, stack: ExitStack, source: Path | None, start: Fraction
) -> Callable[[Fraction], None]:
    """A function that writes the source's sound up to a time of the film; the rest of it when the stack unwinds."""
    if source is None:
        return lambda _: None
    original = stack.enter_context(av.open(str(source)))
    if not original.streams.audio:
        return lambda _: None
    voice = original.streams.audio[0]
    stream = container.add_stream("aac", rate=voice.rate, layout=voice.layout.name)
    frames = _sound(original, start)
    waiting = next(frames, None)

    def add(until: Fraction) -> None:
        nonlocal waiting
        while waiting is not None and waiting[0] <= until:
            container.mux(stream.encode(waiting[1]))
            waiting = next(frames, None)

    stack.callback(lambda: container.mux(stream.encode()))
    return add


def _sound(original: InputContainer, start: Fraction) -> Iterator[tuple[Fraction, av.AudioFrame]]:
    """Seconds and sound from a time on, which is the new zero; as far as it can be decoded."""
    try:
        for frame in original.decode(audio=0):
            if frame.pts is None or frame.time_base is None or frame.pts * frame.time_base < start:
                continue
            frame.pts -= round(start / frame.time_base)
            yield frame.pts * frame.time_base, frame
    except av.error.FFmpegError:
        return
