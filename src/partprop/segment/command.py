"""`partprop segment`: masks, tracks and an overlay of any video, frame by frame."""

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2

from partprop.base.errors import UserError
from partprop.base.progress import count_bar
from partprop.data.labels import object_ids
from partprop.media.reading import Frame, Frames, open_frames
from partprop.pretrained import Segmenter
from partprop.process.allocator import Trimmer
from partprop.segment.events import Events
from partprop.segment.outputs import Write, open_outputs, require_outputs
from partprop.segment.prompts import Prompt, draw_prompts, highest_id, require_prompts
from partprop.segment.request import Request
from partprop.tracking.result import Result

OnProgress = Callable[[int, int | None], None]
Segmented = tuple[Frame, Result, list[int]]
"""A frame, its result, and the ids of the objects that its prompts show."""


def segment_video(request: Request, on_progress: OnProgress | None = None) -> list[str]:
    """Segment the objects of a request through its video and write the results.

    Masks, tracks and overlay of the finished frames are kept if Ctrl-C, an error in the input or a full disk stops it.

    Args:
        request: input, outputs and settings.
        on_progress: called after each frame with the number of segmented frames and the expected total, None if
            unknown. Without it, a progress bar is shown on stderr.

    Returns:
        Messages for the user, one line each: the number of frames, events of objects, problems of the input.

    Raises:
        UserError: the video, a prompt, the weights or an output cannot be used.
        KeyboardInterrupt: Ctrl-C, after all files are closed; its message says what was segmented.
    """
    frames, prompts = _open_input(request)
    segmenter = _make_segmenter(request, frames.size)
    require_outputs(request)
    results = _segment(request, frames, prompts, segmenter)
    events, unclosed = Events(), list[UserError]()
    with _ignore_sigint_on_exit() as stack:
        trim = Trimmer()
        stack.callback(trim.give_back)
        write = stack.enter_context(open_outputs(request, frames, unclosed))
        total = request.expected_count(frames)
        show = stack.enter_context(_progress_bar(total)) if on_progress is None else on_progress

        def after_frame() -> None:
            show(events.frames, total)
            trim()

        stopped_by = _write_results(results, write, events, after_frame)
        if not events.frames:
            raise UserError(f"{request.video}: has no frame {request.start}; choose another --start")
    results.close()  # closes the video, which then reports its problems
    stopped_by = stopped_by or next(iter(unclosed), None)
    unused = [] if stopped_by else _describe_unused(prompts)
    lines = [*events.report(), *unused, *frames.problems, *map(str, unclosed)]
    if isinstance(stopped_by, KeyboardInterrupt):
        raise KeyboardInterrupt(f"interrupted; {'; '.join(lines)}")
    if stopped_by is not None:
        raise UserError(f"{stopped_by} (after {lines[0]})")
    if not events.objects:
        raise UserError("; ".join([*lines, "no object was segmented"]))
    return lines


def _open_input(request: Request) -> tuple[Frames, dict[int, list[Prompt]]]:
    """The video, and the prompts by frame number.

    Raises:
        UserError: either cannot be read, or a prompt does not fit the video.
    """
    try:
        frames, prompts = open_frames(request.video), request.prompts_by_frame()
        for of_frame in prompts.values():
            require_prompts(of_frame, frames.size, request.resize)
    except OSError as error:  # folders without permission, names that are too long
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); name another file") from None
    return frames, prompts


def _make_segmenter(request: Request, size: tuple[int, int]) -> Segmenter:
    cv2.setNumThreads(1)
    short_side = None if request.max_size is None else short_side_for(request.max_size, size)
    return Segmenter(request.weights, request.device, short_side)


def short_side_for(max_size: int, size: tuple[int, int]) -> int:
    """The shorter side, in pixels, of frames of size (height, width) resized to a longer side of `max_size`."""
    return max(1, round(max_size * min(size) / max(size)))


def _segment(
    request: Request, frames: Frames, prompts: dict[int, list[Prompt]], segmenter: Segmenter
) -> Generator[Segmented]:
    """Segment the selected frames in order. Prompts are removed from `prompts` once they are used.

    Raises:
        UserError: a frame with a prompt cannot be read.
    """
    highest = highest_id(request.prompts)
    for frame in request.selected(frames):
        _require_prompted_frames_read(request.video, prompts, frame.number)
        of_frame = prompts.pop(frame.number, None)
        labels = None if of_frame is None else draw_prompts(of_frame, frame.image, highest)
        ids = [] if labels is None else object_ids(labels)
        highest = max([highest, *ids])
        yield frame, segmenter.step(frame.image, labels), ids
    if request.video.is_dir() and frames.count is not None:  # the count of a video file is only an estimate
        _require_prompted_frames_read(request.video, prompts, frames.count)


def _require_prompted_frames_read(video: Path, unused: Iterable[int], number: int) -> None:
    """Raise UserError if a frame before `number` has unused prompts: that frame could not be read."""
    if skipped := [prompted for prompted in unused if prompted < number]:
        raise UserError(
            f"{video}: frame {min(skipped)} cannot be read, but --mask or --box shows an object in it; show it in "
            "another frame"
        )


def _write_results(
    results: Iterable[Segmented], write: Write, events: Events, after_frame: Callable[[], None]
) -> KeyboardInterrupt | UserError | None:
    """Write the results and record the events of each frame.

    Returns:
        The interruption or error that stopped it after the first frame, so that the caller can close the outputs first.

    Raises:
        KeyboardInterrupt, UserError: before the first frame is finished; no output is kept.
    """
    try:
        for frame, result, shown in results:
            write(frame, result)
            events.record(frame.number, result.confidence, shown)
            after_frame()
    except (KeyboardInterrupt, UserError) as error:
        if not events.frames:
            raise
        return error
    return None


@contextmanager
def _ignore_sigint_on_exit() -> Iterator[ExitStack]:
    """An exit stack that closes undisturbed by Ctrl-C: a late or second Ctrl-C does not lose overlay and tracks."""
    with ExitStack() as restore, ExitStack() as stack:
        try:
            yield stack
        finally:
            if threading.current_thread() is threading.main_thread():  # only this thread receives signals
                restore.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))


@contextmanager
def _progress_bar(total: int | None) -> Iterator[OnProgress]:
    with count_bar("segmenting", total) as advance:
        yield lambda done, total: advance(1)


def _describe_unused(prompts: dict[int, list[Prompt]]) -> list[str]:
    return [f"the mask or box of frame {number} was not used: the video ended before it" for number in prompts]
