"""Films that every browser plays: H.264 in MP4, with the frames' times and the sound of the video they are made of."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.media.reading import SET_BACK, address_of

QUALITY = "20"  # x264's constant rate factor: hardly to be told from the input
LOOKAHEAD = "10"  # frames that x264 holds to plan with, of 40 by default: 80 MB less at 854x480, and no larger a film
CLOCK = Fraction(1, 90000)  # of the frames' times: that of MPEG, in which all usual frame rates are whole
USUAL_RATE = 48000  # samples per second of sound that has more, or a number that AAC does not know
LOUDEST = 1e3  # times full scale
RATES = [rate for rate in av.codec.Codec("aac", "w").audio_rates or () if rate <= USUAL_RATE]


@dataclass(frozen=True)
class Soundtrack:
    """The video whose sound a film takes over, if it has any, and when its first frame is shown (`Frames.origin`)."""

    path: Path
    origin: Fraction


@contextmanager
def video_writer(
    path: Path,
    size: tuple[int, int],
    rate: Fraction,
    sound: Soundtrack | None = None,
    pixel_aspect: Fraction = Fraction(1),
) -> Iterator[Callable[[np.ndarray, Fraction], None]]:
    """Write a film; it appears under its name when the block ends, and not at all where an error ends it.

    Args:
        path: ending in .mp4.
        size: (height, width) of the frames; an odd last row or column is cut off, since H.264 has none.
        rate: frames per second, on average.
        sound: of the video of which the frames are; as far as it can be decoded. None: a silent film.
        pixel_aspect: width of a pixel as shown, over its height.

    Yields:
        A function to call with each frame, uint8 (H, W, 3), RGB, and its time in seconds in that video. The film begins
        with the first.

    Raises:
        UserError: the frames are too small for H.264.
    """
    height, width = size[0] // 2 * 2, size[1] // 2 * 2
    if 0 in (height, width):
        raise UserError(f"{path}: no film has frames of {size[1]}x{size[0]} pixels; do without it, or enlarge them")
    with atomic_write(path) as temporary, ExitStack() as stack:
        container = stack.enter_context(
            av.open(address_of(temporary), "w", format="mp4", options={"movflags": "faststart"})
        )
        stream = container.add_stream("libx264", rate=rate, options={"crf": QUALITY, "rc-lookahead": LOOKAHEAD})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.sample_aspect_ratio = CLOCK, pixel_aspect
        voice = None
        if sound is not None:
            voice = _Voice.of(container, stack.enter_context(av.open(address_of(sound.path))), sound)
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


@dataclass
class _Voice:
    """What is heard in the original, taken over piece by piece."""

    container: OutputContainer
    stream: AudioStream
    pieces: Iterator[av.AudioFrame]
    waiting: av.AudioFrame | None
    origin: Fraction
    latest: Fraction | float = -inf  # begin of the last piece that was looked at, as of `_time`

    @classmethod
    def of(cls, container: OutputContainer, original: InputContainer, sound: Soundtrack) -> "_Voice | None":
        voice = original.streams.audio[0] if original.streams.audio else None
        if voice is None or voice.codec_context is None:  # no sound, or none that can be decoded
            return None
        layout = "mono" if voice.channels == 1 else "stereo"
        rate = voice.rate if voice.rate in RATES else USUAL_RATE
        stream = container.add_stream("aac", rate=rate, layout=layout)
        pieces = _resampled(_decoded(original), layout, rate)
        return cls(container, stream, pieces, next(pieces, None), sound.origin)

    def write(self, start: Fraction, until: Fraction) -> None:
        """Write what is heard between two times after the first frame and is not written yet.

        The sound ends where its clock is set back: nobody knows what belongs to which frame from there on.
        """
        while self.waiting is not None and (time := self._time(self.waiting)) <= until:
            if time < self.latest - SET_BACK:
                self.waiting = None
                return
            goes_on, self.latest = time > self.latest, max(time, self.latest)
            if goes_on and time >= start:
                assert self.waiting.pts is not None
                assert self.waiting.time_base is not None
                self.waiting.pts -= round((self.origin + start) / self.waiting.time_base)
                self.container.mux(self.stream.encode(self.waiting))
            self.waiting = next(self.pieces, None)

    def finish(self) -> None:
        self.container.mux(self.stream.encode())

    def _time(self, piece: av.AudioFrame) -> Fraction:
        """Seconds after the first frame of the video."""
        assert piece.pts is not None
        assert piece.time_base is not None
        return piece.pts * piece.time_base - self.origin


def _resampled(pieces: Iterator[av.AudioFrame], layout: str, rate: int) -> Iterator[av.AudioFrame]:
    """The sound as AAC takes it, whatever it changes to on the way."""
    kind, resampler = None, av.AudioResampler("fltp", layout, rate)
    for piece in pieces:
        now = (piece.format.name, piece.layout.name, piece.sample_rate)
        if kind not in (None, now):
            resampler = av.AudioResampler("fltp", layout, rate)
        kind = now
        for made in resampler.resample(piece):
            if made.pts is not None and made.time_base is not None:  # in one clock, whatever that of the input was
                made.pts, made.time_base = round(made.pts * made.time_base * rate), Fraction(1, rate)
            yield _audible(made)


def _audible(piece: av.AudioFrame) -> av.AudioFrame:
    """The piece with silence for samples that are no numbers, or out of all range: AAC refuses them."""
    samples = piece.to_ndarray()
    heard = np.abs(samples) < LOUDEST
    if heard.all():
        return piece
    made = av.AudioFrame.from_ndarray(
        np.where(heard, samples, 0).astype(np.float32), piece.format.name, piece.layout.name
    )
    made.sample_rate, made.pts, made.time_base = piece.sample_rate, piece.pts, piece.time_base
    return made


def _decoded(original: InputContainer) -> Iterator[av.AudioFrame]:
    """The sound without what cannot be decoded, and without pieces of no time."""
    try:
        for packet in original.demux(audio=0):
            try:
                yield from (piece for piece in packet.decode() if piece.pts is not None)
            except av.error.FFmpegError:
                continue
    except av.error.FFmpegError:
        return
