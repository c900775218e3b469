"""`partprop segment`: masks, tracks and an overlay of any video, frame by frame."""

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from partprop.base.disk import os_errors_as_user_errors
from partprop.base.errors import UserError
from partprop.data.labels import object_ids, write_labels
from partprop.data.tracks import tracks_writer
from partprop.media.drawing import overlay
from partprop.media.reading import Frame, Frames, open_frames
from partprop.media.sound import Soundtrack
from partprop.media.writing import video_writer
from partprop.pretrained import LITE0, Segmenter
from partprop.process.allocator import Trimmer
from partprop.segment.events import Events
from partprop.segment.prompts import Prompt, draw_prompts, highest_id, require_prompts
from partprop.tracking.result import Result

Watch = Callable[[int, int | None], None]
Write = Callable[[Frame, Result], None]


@dataclass(frozen=True)
class Request:
    """What is to be segmented, and what is to come of it.

    Attributes:
        video: a video file or a folder of images.
        output: the folder for the masks: new, or empty.
        prompts: the objects.
        overlay: an MP4 file, or None.
        tracks: a CSV file, or None.
        weights: of `save_pretrained`.
        device: auto, cpu, cuda or mps.
        max_size: pixels of the longer side at which the network works, at most; None: as the weights were measured.
        start, end: numbers of the first frame and of the one after the last; None: to the end.
        every: each how many of these frames is segmented.
        resize: stretch masks that do not have the frames' size.
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


def segment_video(request: Request, watch: Watch | None = None) -> list[str]:
    """Segment a video; gives what the user should know of it, a line each.

    Interrupted with Ctrl-C, or by an error of the user's files or a full disk, it leaves masks, tracks and overlay of
    the frames so far, if there are any and it has room for them.

    Args:
        watch: called after each frame with the number of those that are done and of all, None where it is not known;
            without, a bar on stderr shows them.

    Raises:
        UserError: video, prompts, weights or places to write to are not usable.
        KeyboardInterrupt: Ctrl-C, after everything has been closed; says how much is done.
    """
    frames, prompts = _opened(request)
    segmenter = _segmenter(request, frames.size)
    _require_places(request)
    followed, events, ended = _follow(request, frames, prompts, segmenter), Events(), None
    trim, unclosed = Trimmer(), list[UserError]()
    with _closed_undisturbed() as stack:
        stack.callback(trim.give_back)
        writers = _writers(request, frames, stack, unclosed)
        total = _expected(request, frames)
        if watch is None:
            watch = stack.enter_context(_progress())
        try:
            for frame, result, ids in followed:
                for path, write in writers:
                    with os_errors_as_user_errors(path):
                        write(frame, result)
                events.note(frame.number, result.confidence, ids)
                watch(events.frames, total)
                trim()
        except (KeyboardInterrupt, UserError) as error:  # the writers are closed first
            if not events.frames:
                raise
            ended = error
        if not events.frames:
            raise UserError(f"{request.video}: has no frame {request.start}; choose another --start")
    followed.close()  # and with it the video, which then says what was wrong with it
    ended = ended or next(iter(unclosed), None)
    lines = [*events.report(), *([] if ended else _unused(prompts)), *frames.complaints, *map(str, unclosed)]
    if isinstance(ended, KeyboardInterrupt):
        raise KeyboardInterrupt(f"interrupted; {'; '.join(lines)}")
    if ended is not None:
        raise UserError(f"{ended} (after {lines[0]})")
    if prompts and not events.objects:
        raise UserError("; ".join([*lines, "so nothing was followed"]))
    return lines


@contextmanager
def _closed_undisturbed() -> Iterator[ExitStack]:
    """A stack that Ctrl-C does not keep from being closed: who presses it twice, or late, keeps film and tracks."""
    with ExitStack() as heeded, ExitStack() as stack:
        try:
            yield stack
        finally:
            if threading.current_thread() is threading.main_thread():  # others cannot be interrupted
                heeded.callback(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.SIG_IGN))


def _opened(request: Request) -> tuple[Frames, dict[int, list[Prompt]]]:
    """The video, and the prompts of each frame that has some, if they can be read and fit.

    Raises:
        UserError: they cannot, or do not.
    """
    try:
        frames, prompts = open_frames(request.video), _by_frame(request)
        for given in prompts.values():
            require_prompts(given, frames.size, request.resize)
    except OSError as error:  # folders that may not be looked into, names that are too long
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); name another file") from None
    return frames, prompts


def _follow(
    request: Request, frames: Frames, prompts: dict[int, list[Prompt]], segmenter: Segmenter
) -> Generator[tuple[Frame, Result, list[int]]]:
    """Each frame that is wanted, its result, and the ids of objects shown in it; prompts that are used are removed.

    Raises:
        UserError: a frame with a prompt cannot be read.
    """
    highest = highest_id(request.prompts)
    for frame in _chosen(request, frames):
        _require_shown(request.video, prompts, frame.number)
        given = prompts.pop(frame.number, None)
        labels = None if given is None else draw_prompts(given, frame.image, highest)
        ids = [] if labels is None else object_ids(labels)
        highest = max([highest, *ids])
        yield frame, segmenter.step(frame.image, labels), ids
    if request.video.is_dir() and frames.count is not None:  # how many a video file really has, nobody knows
        _require_shown(request.video, prompts, frames.count)


def _require_shown(video: Path, prompts: Iterable[int], number: int) -> None:
    """Check that no frame before this number still waits to be shown with its prompts.

    Raises:
        UserError: one does.
    """
    if passed := [waiting for waiting in prompts if waiting < number]:
        raise UserError(
            f"{video}: frame {min(passed)} cannot be read, but --mask or --box shows an object in it; show it in "
            "another frame"
        )


def short_side_for(max_size: int, size: tuple[int, int]) -> int:
    """The shorter side, in pixels, of frames of size (height, width) whose longer side is made max_size."""
    return max(1, round(max_size * min(size) / max(size)))


def require_empty(output: Path) -> None:
    """Check that a folder is new or empty.

    Raises:
        UserError: it holds something, or is no folder.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; name a folder for the masks")
    if output.is_dir() and any(output.iterdir()):
        raise UserError(f"{output}: holds other files already; name a new folder, or empty it")


def _require_places(request: Request) -> None:
    """Check that everything can be written where it is wanted, and that nothing that is read is overwritten.

    Raises:
        UserError: it cannot.
    """
    try:
        _require_no_other(request)
        require_empty(request.output)
        for folder in {path.parent for path in (request.overlay, request.tracks) if path} | {request.output}:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise UserError(f"{folder}: cannot be written to; choose another place")
    except (OSError, RuntimeError) as error:  # unreadable folders, and links that lead to themselves
        raise UserError(f"cannot write there: {error}; choose another place") from None


def _require_no_other(request: Request) -> None:
    """Check that films and tables are files of their own.

    Raises:
        UserError: one is a folder, or another file of this command; or the film is no MP4, the table no CSV.
    """
    masks = [prompt.mask for prompt in request.prompts if prompt.mask is not None]
    taken = {path.resolve() for path in (request.video, request.weights, *masks)}
    for option, path in (("--overlay", request.overlay), ("--tracks", request.tracks)):
        if path is None:
            continue
        if path.is_dir() or path.resolve() == request.output.resolve():
            raise UserError(f"{option} {path}: is a folder; name a file")
        if path.resolve() in taken:
            raise UserError(f"{option} {path}: would overwrite another file of this command; name a new one")
        taken.add(path.resolve())
    if request.overlay is not None and request.overlay.suffix.lower() != ".mp4":
        raise UserError(f"--overlay {request.overlay}: films are written as MP4; let the name end in .mp4")
    if request.tracks is not None and request.tracks.suffix.lower() != ".csv":
        raise UserError(f"--tracks {request.tracks}: tables are written as CSV; let the name end in .csv")


def _writers(request: Request, frames: Frames, stack: ExitStack, unclosed: list[UserError]) -> list[tuple[Path, Write]]:
    """What writes each frame's result, and where to; what keeps them from being closed is put in `unclosed`."""
    writers = [(request.output, _mask_writer(request.output))]
    if request.tracks is not None:
        opened = _apart(request.tracks, _track_writer(request.tracks), unclosed)
        writers.append((request.tracks, stack.enter_context(opened)))
    if request.overlay is not None:
        opened = _apart(request.overlay, _overlay_writer(request, request.overlay, frames), unclosed)
        writers.append((request.overlay, stack.enter_context(opened)))
    return writers


@contextmanager
def _apart(path: Path, writer: AbstractContextManager[Write], unclosed: list[UserError]) -> Iterator[Write]:
    """A writer whose failure to be closed is not thrown into the others, whose files it would end."""
    closing = False
    try:
        with writer as write:
            yield write
            closing = True
    except (OSError, UserError) as error:
        if not closing:
            raise
        unclosed.append(
            error
            if isinstance(error, UserError)
            else UserError(f"{path}: cannot be written ({error.strerror}); name another place")
        )


@contextmanager
def _track_writer(path: Path) -> Iterator[Write]:
    with tracks_writer(path) as add:

        def write(frame: Frame, result: Result) -> None:
            lost = [number for number, confidence in result.confidence.items() if confidence == 0]
            add(frame.name, result.boxes, lost)

        yield write


def _mask_writer(output: Path) -> Write:
    return lambda frame, result: write_labels(output / f"{frame.name}.png", result.labels)


@contextmanager
def _overlay_writer(request: Request, path: Path, frames: Frames) -> Iterator[Write]:
    """A film in the time of the input, with its sound."""
    sound = Soundtrack(request.video, frames.origin) if request.video.is_file() else None
    with video_writer(path, frames.size, frames.rate, sound, frames.pixel_aspect) as add:

        def write(frame: Frame, result: Result) -> None:
            add(overlay(frame.image, result.labels, None, result.boxes, frames.size[1]), frame.time)

        yield write


@contextmanager
def _progress() -> Iterator[Watch]:
    """A bar with the time left on stderr, where somebody watches."""
    console = Console(stderr=True)
    columns = (TextColumn("segmenting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _by_frame(request: Request) -> dict[int, list[Prompt]]:
    """The prompts of each frame that has some.

    Raises:
        UserError: there is none, or one is of a frame that is not segmented.
    """
    if request.end is not None and request.end <= request.start:
        raise UserError(
            f"--end {request.end}: no frame is before it from --start {request.start} on; choose a later one"
        )
    if not request.prompts:
        raise UserError("--mask, --box: neither is given; show the object in the first frame by one of them")
    by_frame: dict[int, list[Prompt]] = {}
    for prompt in request.prompts:
        number = request.start if prompt.frame is None else prompt.frame
        if not _wanted(request, number):
            raise UserError(f"--mask, --box: frame {number} is not segmented; see --start, --end and --every")
        by_frame.setdefault(number, []).append(prompt)
    return by_frame


def _wanted(request: Request, number: int) -> bool:
    after = number - request.start
    return after >= 0 and (request.end is None or number < request.end) and after % request.every == 0


def _chosen(request: Request, frames: Frames) -> Iterator[Frame]:
    for frame in frames:
        if request.end is not None and frame.number >= request.end:
            return
        if _wanted(request, frame.number):
            yield frame


def _expected(request: Request, frames: Frames) -> int | None:
    """How many frames will be segmented, so far as one knows."""
    if frames.count is None:
        return None
    end = frames.count if request.end is None else min(request.end, frames.count)
    return len(range(request.start, end, request.every))


def _unused(prompts: dict[int, list[Prompt]]) -> list[str]:
    return [f"the mask or box of frame {number} was not used: the video ended before" for number in prompts]


def _segmenter(request: Request, size: tuple[int, int]) -> Segmenter:
    cv2.setNumThreads(1)
    short_side = None if request.max_size is None else short_side_for(request.max_size, size)
    return Segmenter(request.weights, request.device, short_side)
