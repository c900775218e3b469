"""Frames of a video file, or of a folder of images, one at a time and the way up that a player shows them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from partprop.data.images import image_size, read_rgb
from partprop.data.video import frame_order
from partprop.errors import UserError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FOLDER_RATE = Fraction(24)  # frames per second at which a folder of images is shown


@dataclass(frozen=True)
class Frame:
    """A frame of the input.

    number: from 0, as it is decoded. name: of the files that belong to it, "00042" or the image's own. time: seconds
    since the first frame. image: uint8 (H, W, 3), RGB.
    """

    number: int
    name: str
    time: Fraction
    image: np.ndarray


class Frames(Protocol):
    """Frames that can be gone through once or several times.

    Attributes:
        path: where they come from.
        size: (height, width) in pixels, as shown.
        count: how many there are, so far as the input says; None where it does not.
        rate: frames per second, on average.
        complaints: what could not be read in the last pass, in words.
    """

    path: Path
    size: tuple[int, int]
    count: int | None
    rate: Fraction
    complaints: list[str]

    def __iter__(self) -> Iterator[Frame]: ...


def open_frames(path: Path) -> Frames:
    """Open a video file, of any format that FFmpeg reads, or a folder of images, in the order of their names.

    Raises:
        UserError: there is nothing, no video in the file, or no image in the folder.
    """
    if path.is_dir():
        return FolderFrames(path)
    if not path.exists():
        raise UserError(f"{path}: no such video; name a video file or a folder of images")
    return VideoFrames(path)


class FolderFrames:
    """Images of one size; see `Frames`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith(".")),
            key=lambda file: frame_order(file.stem),
        )
        if not self._files:
            raise UserError(f"{path}: holds no images; expected frames as {', '.join(IMAGES[:3])} files")
        width, height = image_size(self._files[0])
        self.size, self.rate = (height, width), FOLDER_RATE
        self.count: int | None = len(self._files)
        self.complaints: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        """The frames.

        Raises:
            UserError: an image is corrupt or of other size than the first.
        """
        for number, file in enumerate(self._files):
            image = read_rgb(file)
            if image.shape[:2] != self.size:
                height, width = image.shape[:2]
                raise UserError(
                    f"{file}: {width}x{height} pixels, but the first frame has {self.size[1]}x{self.size[0]}; make "
                    "all frames equal in size"
                )
            yield Frame(number, file.stem, number / FOLDER_RATE, image)


class VideoFrames:
    """Frames of a video file, turned as its rotation flag says; see `Frames`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complaints: list[str] = []
        with _opened(path) as (container, stream):
            first = next(_decoded(container, stream, []), None)
            if first is None:
                raise UserError(f"{path}: none of its frames can be decoded; convert it, or name another file")
            turned = first.rotation % 180 != 0
            self.size = (first.width, first.height) if turned else (first.height, first.width)
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or FOLDER_RATE)
            self.count = stream.frames or _estimated_count(container, stream, self.rate)

    def __iter__(self) -> Iterator[Frame]:
        """The frames; what cannot be decoded is left out and noted in `complaints`."""
        self.complaints = []
        with _opened(self.path) as (container, stream):
            stream.thread_type = "AUTO"
            start: Fraction | None = None
            for number, decoded in enumerate(_decoded(container, stream, self.complaints)):
                assert decoded.time_base is not None
                shown = Fraction(0) if decoded.pts is None else decoded.pts * decoded.time_base
                start = shown if start is None else start
                yield Frame(number, f"{number:05d}", shown - start, _upright(decoded))


def _decoded(container: InputContainer, stream: VideoStream, complaints: list[str]) -> Iterator[av.VideoFrame]:
    """Frames as they are stored; at the end, complaints of what was skipped or is not there are added to the list."""
    decoded = skipped = 0
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    decoded += 1
                    yield frame
            except av.error.FFmpegError:
                skipped += 1
    except av.error.FFmpegError as error:
        complaints.append(f"the file is damaged after {decoded} frames ({error.strerror})")
    if skipped:
        complaints.append(f"{skipped} frames cannot be decoded and were skipped")
    if decoded + skipped < stream.frames:
        complaints.append(f"the video ends after {decoded} of {stream.frames} frames")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{path}: not a readable video ({error.strerror}); convert it to MP4 first") from None
    with container:
        if not container.streams.video:
            raise UserError(f"{path}: holds no video; name another file")
        yield container, container.streams.video[0]


def _estimated_count(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * rate)
    if container.duration is not None:
        return round(Fraction(container.duration, av.time_base) * rate)
    return None


def _upright(decoded: av.VideoFrame) -> np.ndarray:
    """RGB pixels, turned counter-clockwise by the frame's rotation."""
    pixels = decoded.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(decoded.rotation / 90) % 4))
