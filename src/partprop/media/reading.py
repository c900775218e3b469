"""Frames of a video file or of a folder of images, one at a time, with the orientation that a player shows."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import ExifTags, Image, ImageOps

from partprop.base.errors import UserError
from partprop.data.images import open_image
from partprop.data.video import natural_sort_key

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FOLDER_RATE = Fraction(24)  # frames per second of a folder of images
MIN_STEP = Fraction(1, 1000)  # least time between frames, in seconds
CLOCK_RESET = 1  # seconds: times that go back by more mean that the file's clock was reset
MAX_LAST_FRAME = 1  # seconds: longest display time of the last frame before the file counts as cut
TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations with rows and columns exchanged


@dataclass(frozen=True)
class Frame:
    """A frame of the input.

    Attributes:
        number: position, from 0; undecodable frames of a video are not counted, unreadable images of a folder are.
        name: stem of the output files, such as "00042", or the image's own.
        time: seconds since the first frame.
        image: uint8 (H, W, 3), RGB.
    """

    number: int
    name: str
    time: Fraction
    image: np.ndarray


class Frames(Protocol):
    """The frames of an input; each iteration reads them again from the start.

    Attributes:
        path: the video file or folder.
        size: (height, width) in pixels, as displayed.
        count: number of frames stated by the input or estimated from its length; None if unknown.
        rate: frames per second, on average.
        origin: time of the first frame in seconds by the file's clock, which the sound follows, too.
        pixel_aspect: width of a displayed pixel over its height.
        problems: messages about what could not be read in the last iteration.
    """

    path: Path
    size: tuple[int, int]
    count: int | None
    rate: Fraction
    origin: Fraction
    pixel_aspect: Fraction
    problems: list[str]

    def __iter__(self) -> Iterator[Frame]: ...


def open_frames(path: Path) -> Frames:
    """Open a video file of any format that FFmpeg reads, or a folder of images, sorted by the numbers in their names.

    Raises:
        UserError: the path does not exist, the file is not a readable video, or the folder holds no usable images.
    """
    if path.is_dir():
        return FolderFrames(path)
    if not path.exists():
        raise UserError(f"{path}: no such video; name a video file or a folder of images")
    return VideoFrames(path)


class FolderFrames:
    """Images of a folder, rotated as their EXIF orientation says; see `Frames`.

    Raises:
        UserError: the folder has no images, two images have the same stem, sizes differ, or an image has more than 8
            bits per channel.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = sorted(
            (
                file
                for file in path.iterdir()
                if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
            ),
            key=lambda file: natural_sort_key(file.stem),
        )
        if not self._files:
            raise UserError(f"{path}: holds no images; expected frames as {', '.join(IMAGE_SUFFIXES[:3])} files")
        for file, following in pairwise(self._files):
            if file.stem == following.stem:
                raise UserError(f"{following}: would have the same mask file as {file.name}; remove one of them")
        self.size = self._common_size()
        self.rate, self.origin, self.pixel_aspect = FOLDER_RATE, Fraction(0), Fraction(1)
        self.count: int | None = len(self._files)
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; unreadable images are skipped and reported in `problems`."""
        self.problems = []
        for number, file in enumerate(self._files):
            try:
                with open_image(file) as image:
                    pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
            except UserError as error:
                self.problems.append(f"skipped {error}")
                continue
            yield Frame(number, file.stem, number / FOLDER_RATE, pixels)

    def _common_size(self) -> tuple[int, int]:
        """(height, width) from the headers of all readable images."""
        sizes = {file: size for file in self._files if (size := _displayed_size(file)) is not None}
        if not sizes:
            raise UserError(f"{self._files[0]}: not a readable image, like all others in the folder; replace the files")
        height, width = next(iter(sizes.values()))
        for file, size in sizes.items():
            if size != (height, width):
                raise UserError(
                    f"{file}: {size[1]}x{size[0]} pixels, but the first frame has {width}x{height}; resize all frames "
                    "to one size"
                )
        return height, width


class VideoFrames:
    """Frames of a video file, rotated as its display matrix says; see `Frames`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        with _open_video(path) as (container, stream):
            first = next(_decode(container, stream, []), None)
            if first is None:
                raise UserError(f"{path}: none of its frames can be decoded; convert it, or name another file")
            transposed = _orientation(first).transposed
            self.size = (first.width, first.height) if transposed else (first.height, first.width)
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or FOLDER_RATE)
            self.origin = _display_time(first) or Fraction(0)
            aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
            self.pixel_aspect = 1 / aspect if transposed else aspect
            self.count = stream.frames or _estimated_count(container, stream, self.rate)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; undecodable frames are skipped and reported in `problems`."""
        self.problems = []
        time, resized, origin, reset_at = -1 / self.rate, 0, self.origin, None
        reformatter = VideoReformatter()
        try:
            with _open_video(self.path) as (container, stream):
                stream.thread_type = "AUTO"
                for number, decoded in enumerate(_decode(container, stream, self.problems)):
                    displayed, image = _display_time(decoded), _upright(decoded, reformatter)
                    if image.shape[:2] != self.size:
                        resized += 1
                        image = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_AREA)
                    if displayed is not None and displayed - origin < time - CLOCK_RESET:
                        origin = displayed - time - 1 / self.rate
                        reset_at = number if reset_at is None else reset_at
                    # times increase strictly, even if the file's are missing or repeated
                    time = time + 1 / self.rate if displayed is None else max(displayed - origin, time + MIN_STEP)
                    yield Frame(number, f"{number:05d}", time, image)
        finally:  # also if the caller stops early
            if reset_at is not None:
                self.problems.append(f"the file's clock is reset at frame {reset_at}: sound ends there")
            if resized:
                self.problems.append(f"{resized} frames differ in size from the first and were resized to it")


def ffmpeg_address(path: Path) -> str:
    """An absolute path: FFmpeg takes the part of a relative path before a colon for a protocol."""
    return str(path.absolute())


def _displayed_size(file: Path) -> tuple[int, int] | None:
    """(height, width) of an image as displayed, from its header; None if it is not readable.

    Raises:
        UserError: the image has more than 8 bits per channel, so that its brightness range is unknown.
    """
    try:
        with open_image(file) as image:
            (width, height), mode = image.size, image.mode
            tags = Image.Image.getexif(image)  # PNG's own method decodes the pixels
    except UserError:
        return None
    if mode == "F" or mode.startswith("I"):
        raise UserError(f"{file}: stores grey values as {mode}; save it with 8 bits per channel")
    return (width, height) if tags.get(ExifTags.Base.Orientation) in TRANSPOSED else (height, width)


def _display_time(frame: av.VideoFrame) -> Fraction | None:
    """Seconds by the file's clock; None if the file does not say."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def _decode(container: InputContainer, stream: VideoStream, problems: list[str]) -> Iterator[av.VideoFrame]:
    """Frames as stored; at the end, messages about damaged or missing frames are added to `problems`."""
    decoded = skipped = damaged = 0
    end = Fraction(0)
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    decoded += 1
                    damaged += frame.is_corrupt
                    end = max(end, _display_time(frame) or end)
                    yield frame
            except av.error.FFmpegError:
                skipped += 1
    except av.error.FFmpegError as error:
        problems.append(f"the file is damaged after {decoded} frames ({error.strerror})")
    finally:  # also if the caller stops early
        if skipped:
            problems.append(f"{skipped} frames cannot be decoded and were skipped")
        if damaged:
            problems.append(f"{damaged} frames are damaged and may be segmented badly")
    expected, stated_end = _expected_count(stream), _expected_end(container, stream)
    if decoded + skipped < expected:
        problems.append(f"only {decoded} of {expected} frames were found: the file is cut or damaged")
    elif not expected and end + MAX_LAST_FRAME < stated_end:
        problems.append(
            f"the last frame is at {float(end):.1f} of {float(stated_end):.1f} seconds: the file is cut or damaged"
        )


def _expected_count(stream: VideoStream) -> int:
    """The number of displayed frames, 0 if unknown: the stored frames without those that an edit list trims."""
    if stream.duration is None or stream.time_base is None or stream.average_rate is None:
        return stream.frames
    return min(stream.frames, math.floor(stream.duration * stream.time_base * stream.average_rate))


def _expected_end(container: InputContainer, stream: VideoStream) -> Fraction:
    """The stated end of the video in seconds by the file's clock, 0 if unknown."""
    if found := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # in Matroska
        hours, minutes, seconds = found.groups()
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    if container.duration is not None and len(container.streams) == 1:  # with sound, the sound may be longer
        return Fraction((container.start_time or 0) + container.duration, av.time_base)
    return Fraction(0)


@contextmanager
def _open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        container = av.open(ffmpeg_address(path))
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{path}: not a readable video ({error.strerror}); convert it to MP4 first") from None
    with container:
        streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
        if not streams or container.format.name == "tty":  # FFmpeg renders text files as a terminal
            raise UserError(f"{path}: holds no video; name another file")
        yield container, streams[0]


def _estimated_count(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * rate)
    if container.duration is not None:  # in Matroska, the time of the end
        return round(Fraction(container.duration - max(0, container.start_time or 0), av.time_base) * rate)
    return None


class _Orientation(NamedTuple):
    """How stored pixels are displayed: rows and columns are exchanged first, then the picture is mirrored."""

    transposed: bool
    left_right: bool
    top_bottom: bool


def _upright(decoded: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """RGB pixels as displayed. Reuse the reformatter: each new one starts threads."""
    transposed, left_right, top_bottom = _orientation(decoded)
    pixels = reformatter.reformat(decoded, format="rgb24", threads=1).to_ndarray()
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if top_bottom else 1, :: -1 if left_right else 1])


def _orientation(decoded: av.VideoFrame) -> _Orientation:
    """The orientation nearest to the display matrix (x' = a x + c y, y' = b x + d y); as stored if there is none."""
    # `decoded.side_data` would create a reference cycle that keeps the frame until Python's garbage collection
    matrix: Any = SideDataContainer(decoded).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # not in PyAV's stubs
    if matrix is None:
        return _Orientation(False, False, False)
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5]
    if abs(int(a)) >= abs(int(b)):
        return _Orientation(False, bool(a < 0), bool(d < 0))
    return _Orientation(True, bool(c < 0), bool(b < 0))
