"""Films that every browser plays: H.264 in MP4, with the frames' times and the sound of the video they are made of."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from partprop.files import replacing

QUALITY = "20"  # x264's constant rate factor: hardly to be told from the input
CLOCK = Fraction(1, 90000)  # of the frames' times: that of MPEG, in which all usual frame rates are whole


@contextmanager
def film_writer(
    path: Path, size: tuple[int, int], rate: Fraction, sound_of: Path | None = None
) -> Iterator[Callable[[np.ndarray, Fraction], None]]:
    """Write a film; it appears under its name when the block ends, and not at all where an error ends it.

    Args:
        path: ending in .mp4.
        size: (height, width) of the frames; an odd last row or column is cut off, since H.264 has none.
        rate: frames per second, on average.
        sound_of: the video of which the frames are, whose sound is taken over, if it has any; None: a silent film.

    Yields:
        A function to call with each frame, uint8 (H, W, 3), RGB, and its time in seconds in that video. The film begins
        with the first.
    """
    height, width = size[0] // 2 * 2, size[1] // 2 * 2
    with replacing(path) as temporary, ExitStack() as stack:
        container = stack.enter_context(av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}))
        stream = container.add_stream("libx264", rate=rate, options={"crf": QUALITY})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.time_base = CLOCK
        sound = None if sound_of is None else _Sound.of(container, stack.enter_context(av.open(str(sound_of))))
        start: Fraction | None = None

        def add(image: np.ndarray, time: Fraction) -> None:
            nonlocal start
            start = time if start is None else start
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
            frame.pts, frame.time_base = round((time - start) / CLOCK), CLOCK
            container.mux(stream.encode(frame))
            if sound is not None:
                sound.write(start, time)

        yield add
        container.mux(stream.encode())
        if sound is not None:
            sound.finish()


@dataclass
class _Sound:
    """What is heard in the original, taken over piece by piece."""

    container: OutputContainer
    stream: AudioStream
    pieces: Iterator[av.AudioFrame]
    waiting: av.AudioFrame | None

    @classmethod
    def of(cls, container: OutputContainer, original: InputContainer) -> "_Sound | None":
        if not original.streams.audio:
            return None
        voice = original.streams.audio[0]
        stream = container.add_stream("aac", rate=voice.rate, layout=voice.layout.name)
        pieces = _decoded(original)
        return cls(container, stream, pieces, next(pieces, None))

    def write(self, start: Fraction, until: Fraction) -> None:
        """Write what is heard between two times of the original and is not written yet."""
        while self.waiting is not None and _time(self.waiting) <= until:
            if _time(self.waiting) >= start:
                assert self.waiting.pts is not None
                assert self.waiting.time_base is not None
                self.waiting.pts -= round(start / self.waiting.time_base)
                self.container.mux(self.stream.encode(self.waiting))
            self.waiting = next(self.pieces, None)

    def finish(self) -> None:
        self.container.mux(self.stream.encode())


def _decoded(original: InputContainer) -> Iterator[av.AudioFrame]:
    """As far as it can be decoded; without pieces of no time."""
    try:
        yield from (piece for piece in original.decode(audio=0) if piece.pts is not None)
    except av.error.FFmpegError:
        return


def _time(piece: av.AudioFrame) -> Fraction:
    assert piece.pts is not None
    assert piece.time_base is not None
    return piece.pts * piece.time_base
