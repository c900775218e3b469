"""Frames of a video file, or of a folder of images, one at a time and the way up that a player shows them."""

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

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FOLDER_RATE = Fraction(24)  # frames per second at which a folder of images is shown
LEAST_STEP = Fraction(1, 1000)  # seconds between frames
CLOCK_RESET = 1  # seconds by which the time of a frame goes back at least where a file's clock is set back
MOST_LAST = 1  # seconds, at most, for which the last frame is shown
SIDEWAYS = (5, 6, 7, 8)  # orientations of EXIF


@dataclass(frozen=True)
class Frame:
    """A frame of the input.

    number: from 0; of videos without those that cannot be decoded, of folders with all images. name: of the files that
    belong to it, "00042" or the image's own. time: seconds since the first frame. image: uint8 (H, W, 3), RGB.
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
        origin: seconds at which the first frame is shown by the clock of the file, which its sound follows, too.
        pixel_aspect: width of a pixel as shown, over its height.
        problems: what could not be read in the last pass, in words.
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
    """Images of one size with 8 bits a channel, turned as their EXIF tag says; see `Frames`.

    Raises:
        UserError: there is none, two have one name, they differ in size, or have more bits.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith(".")),
            key=lambda file: natural_sort_key(file.stem),
        )
        if not self._files:
            raise UserError(f"{path}: holds no images; expected frames as {', '.join(IMAGES[:3])} files")
        for file, following in pairwise(self._files):
            if file.stem == following.stem:
                raise UserError(f"{following}: {file.name} is there, too, and would have the same mask; remove one")
        self.size = self._common_size()
        self.rate, self.origin, self.pixel_aspect = FOLDER_RATE, Fraction(0), Fraction(1)
        self.count: int | None = len(self._files)
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[Frame]:
        """The frames; images that cannot be read are left out and noted in `problems`."""
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
        """(height, width), from the headers of all that have one."""
        sizes = {file: size for file in self._files if (size := _shown_size(file)) is not None}
        if not sizes:
            raise UserError(f"{self._files[0]}: no readable image, nor is another in the folder; replace the files")
        height, width = next(iter(sizes.values()))
        for file, size in sizes.items():
            if size != (height, width):
                raise UserError(
                    f"{file}: {size[1]}x{size[0]} pixels, but the first frame has {width}x{height}; make all frames "
                    "equal in size"
                )
        return height, width


class VideoFrames:
    """Frames of a video file, turned as its rotation flag says; see `Frames`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        with _opened(path) as (container, stream):
            first = next(_decoded(container, stream, []), None)
            if first is None:
                raise UserError(f"{path}: none of its frames can be decoded; convert it, or name another file")
            turned = _orientation(first).transposed
            self.size = (first.width, first.height) if turned else (first.height, first.width)
            self.rate = Fraction(stream.average_rate or stream.guessed_rate or FOLDER_RATE)
            self.origin = _shown(first) or Fraction(0)
            aspect = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
            self.pixel_aspect = 1 / aspect if turned else aspect
            self.count = stream.frames or _estimated_count(container, stream, self.rate)

    def __iter__(self) -> Iterator[Frame]:
        """The frames; what cannot be decoded is left out and noted in `problems`."""
        self.problems = []
        time, stretched, origin, set_back = -1 / self.rate, 0, self.origin, None
        reformatter = VideoReformatter()
        try:
            with _opened(self.path) as (container, stream):
                stream.thread_type = "AUTO"
                for number, decoded in enumerate(_decoded(container, stream, self.problems)):
                    shown, image = _shown(decoded), _upright(decoded, reformatter)
                    if image.shape[:2] != self.size:
                        stretched += 1
                        image = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_AREA)
                    if shown is not None and shown - origin < time - CLOCK_RESET:
                        origin = shown - time - 1 / self.rate
                        set_back = number if set_back is None else set_back
                    # time goes on, also where the file has none, or has the same again
                    time = time + 1 / self.rate if shown is None else max(shown - origin, time + LEAST_STEP)
                    yield Frame(number, f"{number:05d}", time, image)
        finally:  # also where no more frames are wanted
            if set_back is not None:
                self.problems.append(f"the file's clock is set back, first at frame {set_back}: sound ends there")
            if stretched:
                self.problems.append(f"{stretched} frames have another size than the first and were stretched to it")


def ffmpeg_address(path: Path) -> str:
    """A file's name for FFmpeg, to which what stands before a colon in a relative one is a protocol."""
    return str(path.absolute())


def _shown_size(file: Path) -> tuple[int, int] | None:
    """(height, width) of an image the way up that it is shown, from its header; None where it is not readable.

    Raises:
        UserError: it has more than 8 bits, of which nobody knows how bright they are to be shown.
    """
    try:
        with open_image(file) as image:
            (width, height), mode = image.size, image.mode
            tags = Image.Image.getexif(image)  # PNG's own method decodes the pixels
    except UserError:
        return None
    if mode == "F" or mode.startswith("I"):
        raise UserError(f"{file}: stores grey values as {mode}; save it with 8 bits a channel")
    return (width, height) if tags.get(ExifTags.Base.Orientation) in SIDEWAYS else (height, width)


def _shown(frame: av.VideoFrame) -> Fraction | None:
    """When a frame is shown, in seconds by the clock of the file."""
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base


def _decoded(container: InputContainer, stream: VideoStream, problems: list[str]) -> Iterator[av.VideoFrame]:
    """Frames as they are stored; at the end, problems of what is damaged or not there are added to the list."""
    decoded = skipped = damaged = 0
    end = Fraction(0)
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    decoded += 1
                    damaged += frame.is_corrupt
                    end = max(end, _shown(frame) or end)
                    yield frame
            except av.error.FFmpegError:
                skipped += 1
    except av.error.FFmpegError as error:
        problems.append(f"the file is damaged after {decoded} frames ({error.strerror})")
    finally:  # also where no more frames are wanted
        if skipped:
            problems.append(f"{skipped} frames cannot be decoded and were skipped")
        if damaged:
            problems.append(f"{damaged} frames are damaged and may be segmented badly")
    expected, lasts = _expected_count(stream), _expected_end(container, stream)
    if decoded + skipped < expected:
        problems.append(f"only {decoded} of {expected} frames were found: the file is cut or damaged")
    elif not expected and end + MOST_LAST < lasts:
        problems.append(
            f"the last frame is at {float(end):.1f} of {float(lasts):.1f} seconds: the file is cut or damaged"
        )


def _expected_count(stream: VideoStream) -> int:
    """Frames that are to be shown, 0 if unknown: all that are stored, but for those that an edit has trimmed away."""
    if stream.duration is None or stream.time_base is None or stream.average_rate is None:
        return stream.frames
    return min(stream.frames, math.floor(stream.duration * stream.time_base * stream.average_rate))


def _expected_end(container: InputContainer, stream: VideoStream) -> Fraction:
    """Seconds at which the video ends by the clock of the file, 0 if unknown."""
    if found := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # of Matroska
        hours, minutes, seconds = found.groups()
        return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
    if container.duration is not None and len(container.streams) == 1:  # else the sound may be what goes on
        return Fraction((container.start_time or 0) + container.duration, av.time_base)
    return Fraction(0)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        container = av.open(ffmpeg_address(path))
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{path}: not a readable video ({error.strerror}); convert it to MP4 first") from None
    with container:
        streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
        if not streams or container.format.name == "tty":  # FFmpeg plays text files as films of a terminal
            raise UserError(f"{path}: holds no video; name another file")
        yield container, streams[0]


def _estimated_count(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * rate)
    if container.duration is not None:  # of Matroska; when it ends
        return round(Fraction(container.duration - max(0, container.start_time or 0), av.time_base) * rate)
    return None


class _Orientation(NamedTuple):
    """How stored pixels are shown: rows and columns change places first, then the picture is mirrored."""

    transposed: bool
    left_right: bool
    upside_down: bool


def _upright(decoded: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """RGB pixels the way up that they are shown; a reformatter for each frame would start threads for each."""
    transposed, left_right, upside_down = _orientation(decoded)
    pixels = reformatter.reformat(decoded, format="rgb24", threads=1).to_ndarray()
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if upside_down else 1, :: -1 if left_right else 1])


def _orientation(decoded: av.VideoFrame) -> _Orientation:
    """The nearest to the display matrix, of which x' = a x + c y and y' = b x + d y; without one, as stored."""
    # with `decoded.side_data` the frame would refer to itself and stay until Python collects its garbage
    matrix: Any = SideDataContainer(decoded).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # not in PyAV's stubs
    if matrix is None:
        return _Orientation(False, False, False)
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5]
    if abs(int(a)) >= abs(int(b)):
        return _Orientation(False, bool(a < 0), bool(d < 0))
    return _Orientation(True, bool(c < 0), bool(b < 0))
