"""What `partprop segment` is asked to do: which objects, which frames, which files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from partprop.base.errors import UserError
from partprop.media.reading import Frame, Frames
from partprop.pretrained import LITE0
from partprop.segment.prompts import Prompt


@dataclass(frozen=True)
class Request:
    """The arguments of `partprop segment`.

    Attributes:
        video: a video file or a folder of images.
        output: folder for the masks; new or empty.
        prompts: masks and boxes of the objects to segment.
        overlay: MP4 file for the video with masks and boxes drawn on it; None for no overlay.
        tracks: CSV file for the boxes of objects and parts; None for no table.
        weights: file written by `save_pretrained`.
        device: auto, cpu, cuda or mps.
        max_size: upper limit in pixels of the longer side at which the network works; None for the size at which the
            accuracy of the weights was measured.
        start: number of the first frame to segment.
        end: number of the frame after the last; None for the end of the video.
        every: segment every N-th frame, counted from `start`.
        resize: resize masks whose size differs from the frames' size.
    """

    video: Path
    output: Path
    prompts: list[Prompt]
    overlay: Path | None = None
    tracks: Path | None = None
    weights: Path = LITE0
    device: str = "auto"
    max_size: int | None = None
    start: int = 0
    end: int | None = None
    every: int = 1
    resize: bool = False

    def selects(self, number: int) -> bool:
        """Whether the frame with this number is segmented."""
        offset = number - self.start
        return offset >= 0 and (self.end is None or number < self.end) and offset % self.every == 0

    def selected(self, frames: Frames) -> Iterator[Frame]:
        """The frames to segment; stops reading at `end`."""
        for frame in frames:
            if self.end is not None and frame.number >= self.end:
                return
            if self.selects(frame.number):
                yield frame

    def expected_count(self, frames: Frames) -> int | None:
        """The number of frames to segment, as far as the input states its length; None if it does not."""
        if frames.count is None:
            return None
        end = frames.count if self.end is None else min(self.end, frames.count)
        return len(range(self.start, end, self.every))

    def prompts_by_frame(self) -> dict[int, list[Prompt]]:
        """The prompts by frame number, for the frames that have any.

        Raises:
            UserError: there are no prompts or no frames, or a prompt belongs to a frame that is not segmented.
        """
        if self.end is not None and self.end <= self.start:
            raise UserError(f"--end {self.end}: must be greater than --start {self.start}; choose a later frame")
        if not self.prompts:
            raise UserError("--mask, --box: neither is given; show the object in the first frame by one of them")
        by_frame: dict[int, list[Prompt]] = {}
        for prompt in self.prompts:
            number = self.start if prompt.frame is None else prompt.frame
            if not self.selects(number):
                raise UserError(f"--mask, --box: frame {number} is not segmented; see --start, --end and --every")
            by_frame.setdefault(number, []).append(prompt)
        return by_frame
