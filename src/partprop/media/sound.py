"""The sound of a video, taken over into another video made from its frames.

AAC that every browser plays is copied packet by packet, without loss. Other sound is decoded and encoded as AAC.
Packets that cannot be decoded are left out in both cases: browsers stop playing at them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from partprop.media.reading import CLOCK_RESET

USUAL_RATE = 48000  # samples per second, used for rates that are higher or not supported by AAC
RATES = [rate for rate in av.codec.Codec("aac", "w").audio_rates or () if rate <= USUAL_RATE]
PROFILES = ("LC", "HE-AAC", "HE-AACv2")  # of AAC, played by every browser
LEAD_IN = 2 * 2048  # samples copied before the first audible one, at least one packet: AAC packets overlap in time
MAX_AMPLITUDE = 1e3  # times full scale


@dataclass(frozen=True)
class Soundtrack:
    """Where the sound of a new video comes from.

    Attributes:
        path: the original video; it may have no sound.
        origin: time of its first frame by the file's clock, in seconds (`Frames.origin`).
    """

    path: Path
    origin: Fraction


_Piece: TypeAlias = "av.Packet[AudioStream] | av.AudioFrame"
_TimedPiece = tuple[Fraction, _Piece]
"""A packet or a decoded frame, and its time in seconds by the file's clock."""


class SoundWriter:
    """Copies or encodes the sound of an original video into an open MP4, step by step as frames are written.

    The sound ends where the file's clock is reset: from there on, it cannot be assigned to frames.
    """

    def __init__(self, container: OutputContainer, original: AudioStream, origin: Fraction) -> None:
        """Add an audio stream to `container`. Nothing else may read the container of `original`."""
        self._container = container
        self._origin = origin
        self._copies = _is_playable_aac(original)
        self._pieces: Iterator[_TimedPiece]
        if self._copies:
            self._stream = container.add_stream_from_template(original)
            self._lead_in = Fraction(LEAD_IN, original.rate)
            self._pieces = _with_times(_decodable_packets(original))
        else:
            layout = "mono" if original.channels == 1 else "stereo"
            rate = original.rate if original.rate in RATES else USUAL_RATE
            self._stream = container.add_stream("aac", rate=rate, layout=layout)
            self._lead_in = Fraction(0)
            self._pieces = _with_times(_resample(_decode(original), layout, rate))
        self._next = next(self._pieces, None)
        self._latest: Fraction | float = -inf  # latest time so far, in seconds by the file's clock

    def write(self, start: Fraction, until: Fraction) -> None:
        """Write the sound up to a time. Times are in seconds after the first frame of the original.

        Args:
            start: time at which the new video starts; the same in every call.
            until: the time up to which sound is written.
        """
        while self._next is not None and self._next[0] <= self._origin + until:
            time, piece = self._next
            if time < self._latest - CLOCK_RESET:
                self._next = None
                return
            moves_on, self._latest = time > self._latest, max(time, self._latest)
            if moves_on and time >= self._origin + start - self._lead_in:
                self._put(piece, time - self._origin - start)
            self._next = next(self._pieces, None)

    def finish(self) -> None:
        """Write the samples that are still in the encoder."""
        if not self._copies:
            self._container.mux(self._stream.encode())

    def _put(self, piece: _Piece, time: Fraction) -> None:
        assert piece.time_base is not None
        pts = round(time / piece.time_base)
        if isinstance(piece, av.AudioFrame):
            piece.pts = pts
            self._container.mux(self._stream.encode(piece))
        elif pts < 0 or not piece.is_discard:  # players discard samples before 0 anyway
            piece.pts = piece.dts = pts
            piece.stream = self._stream
            self._container.mux(piece)


def find_sound(original: InputContainer) -> AudioStream | None:
    """The first audio stream; None if there is none, or FFmpeg has no decoder for it."""
    stream = original.streams.audio[0] if original.streams.audio else None
    return None if stream is None or stream.codec_context is None else stream


def _is_playable_aac(stream: AudioStream) -> bool:
    """Whether the packets can be copied to MP4 and every browser plays them.

    AAC in MPEG-TS has no global header (extradata), and its rate and channels may change within the file.
    """
    codec = stream.codec_context
    return (
        codec.name == "aac"
        and bool(codec.extradata)
        and codec.profile in PROFILES
        and stream.rate in RATES
        and stream.channels <= 2
    )


def _with_times(pieces: Iterator[_Piece]) -> Iterator[_TimedPiece]:
    """Pieces with their times; those that have none are left out."""
    for piece in pieces:
        if piece.pts is not None and piece.time_base is not None:
            yield piece.pts * piece.time_base, piece


def _decodable_packets(stream: AudioStream) -> Iterator[av.Packet[AudioStream]]:
    for packet in _packets(stream):
        with suppress(av.error.FFmpegError):
            packet.decode()
            yield packet


def _decode(stream: AudioStream) -> Iterator[av.AudioFrame]:
    """The sound that can be decoded; frames without a time are left out."""
    for packet in _packets(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        yield from (frame for frame in frames if frame.pts is not None)


def _packets(stream: AudioStream) -> Iterator[av.Packet[AudioStream]]:
    """The packets up to the first read error."""
    assert isinstance(stream.container, InputContainer)
    with suppress(av.error.FFmpegError):
        yield from stream.container.demux(stream)


def _resample(frames: Iterator[av.AudioFrame], layout: str, rate: int) -> Iterator[av.AudioFrame]:
    """The sound in one format, rate and layout for the AAC encoder, even if these change within the file."""
    current, resampler = None, av.AudioResampler("fltp", layout, rate)
    for frame in frames:
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if current not in (None, found):
            resampler = av.AudioResampler("fltp", layout, rate)
        current = found
        for resampled in resampler.resample(frame):
            if resampled.pts is not None and resampled.time_base is not None:  # one clock, whatever the input's
                resampled.pts, resampled.time_base = (
                    round(resampled.pts * resampled.time_base * rate),
                    Fraction(1, rate),
                )
            yield _silence_invalid(resampled)


def _silence_invalid(frame: av.AudioFrame) -> av.AudioFrame:
    """The frame with NaN, infinite and far too loud samples set to 0: the AAC encoder rejects them."""
    samples = frame.to_ndarray()
    valid = np.abs(samples) < MAX_AMPLITUDE
    if valid.all():
        return frame
    cleaned = av.AudioFrame.from_ndarray(
        np.where(valid, samples, 0).astype(np.float32), frame.format.name, frame.layout.name
    )
    cleaned.sample_rate, cleaned.pts, cleaned.time_base = frame.sample_rate, frame.pts, frame.time_base
    return cleaned
