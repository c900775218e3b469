"""Small video files of many kinds."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SIZE = (48, 64)  # height, width


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A frame whose brightness encodes its number, red at the top left."""
    image = np.full((*size, 3), min(40 + 5 * number, 255), np.uint8)
    image[: size[0] // 4, : size[1] // 4] = (250, 0, 0)
    return image


@pytest.fixture
def write_video(tmp_path: Path) -> Callable[..., Path]:
    def write(
        name: str = "clip.mp4",
        frames: int = 12,
        times: list[int] | None = None,
        rotation: int = 0,
        codec: str = "libx264",
        sound: str | bool = False,
        options: dict[str, str] | None = None,
        size: tuple[int, int] = SIZE,
        start: int = 0,
        click: float | None = None,
        aspect: Fraction = Fraction(1),
    ) -> Path:
        """Write a video.

        Args:
            times: of the frames, in 1/100 s; None for 25 frames per second.
            start: time of the first frame, in seconds.
            sound: False for none, True for AAC, or a codec.
            click: the sound is a click this many seconds after `start`; None for a hum.
        """
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = size
            stream.codec_context.sample_aspect_ratio = aspect
            stream.bit_rate = 4_000_000
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            unit = Fraction(1, 25) if times is None else Fraction(1, 100)
            stream.codec_context.time_base = unit
            if rotation:
                stream.set_display_rotation(rotation)
            voice = container.add_stream("aac" if sound is True else sound, rate=8000, layout="mono") if sound else None
            for number in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
                frame.pts, frame.time_base = number if times is None else times[number], unit
                frame.pts += round(start / unit)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if voice is not None:
                _hum(container, voice, frames * 320, start * 8000, click)
        return path

    return write


def _hum(
    container: av.container.OutputContainer, voice: av.AudioStream, samples: int, origin: int, click: float | None
) -> None:
    wave = (0.5 * np.sin(np.arange(samples) * 0.3)).astype(np.float32)[None]
    if click is not None:
        wave[:, np.abs(np.arange(samples) - 8000 * click) > 100] = 0
    if voice.codec_context.name == "pcm_s16le":
        wave = (wave * 32767).astype(np.int16)
    for start in range(0, samples, 1024):
        piece = np.ascontiguousarray(wave[:, start : start + 1024])
        sound = av.AudioFrame.from_ndarray(piece, "s16" if wave.dtype == np.int16 else "fltp", "mono")
        sound.sample_rate, sound.pts = 8000, origin + start
        container.mux(voice.encode(sound))
    container.mux(voice.encode())
