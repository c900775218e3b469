"""The files that `partprop segment` writes: masks, tracks and the overlay video."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from partprop.base.disk import os_errors_as_user_errors
from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.data.tracks import tracks_writer
from partprop.media.drawing import overlay
from partprop.media.reading import Frame, Frames
from partprop.media.sound import Soundtrack
from partprop.media.writing import video_writer
from partprop.segment.request import Request
from partprop.tracking.result import Result

Write = Callable[[Frame, Result], None]


def require_outputs(request: Request) -> None:
    """Check that all outputs can be written, and create their folders.

    Raises:
        UserError: an output exists as something else, is an input or another output, has the wrong suffix, or lies in
            a folder that cannot be written to.
    """
    try:
        _require_separate_files(request)
        _require_suffixes(request)
        _require_empty(request.output)
        for folder in {path.parent for path in (request.overlay, request.tracks) if path} | {request.output}:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise UserError(f"{folder}: no permission to write; choose another folder")
    except (OSError, RuntimeError) as error:  # unreadable folders, and links in a circle
        raise UserError(f"output cannot be written: {error}; choose another place") from None


@contextmanager
def open_outputs(request: Request, frames: Frames, unclosed: list[UserError]) -> Iterator[Write]:
    """Open the outputs of a request; the files appear when the block ends without an error.

    Args:
        request: what to write, and where.
        frames: the input; the overlay takes its size, frame rate and sound.
        unclosed: errors raised while closing one output are added here, so that the others are still completed.

    Yields:
        A function that writes the result of a frame to every output; frames come in order.

    Raises:
        UserError: an output cannot be written.
    """
    with ExitStack() as stack:
        writers = [(request.output, _mask_writer(request.output))]
        if request.tracks is not None:
            opened = _collect_closing_errors(request.tracks, _track_writer(request.tracks), unclosed)
            writers.append((request.tracks, stack.enter_context(opened)))
        if request.overlay is not None:
            opened = _collect_closing_errors(
                request.overlay, _overlay_writer(request.overlay, request.video, frames), unclosed
            )
            writers.append((request.overlay, stack.enter_context(opened)))

        def write(frame: Frame, result: Result) -> None:
            for path, write_one in writers:
                with os_errors_as_user_errors(path):
                    write_one(frame, result)

        yield write


def _require_separate_files(request: Request) -> None:
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


def _require_suffixes(request: Request) -> None:
    if request.overlay is not None and request.overlay.suffix.lower() != ".mp4":
        raise UserError(f"--overlay {request.overlay}: videos are written as MP4; choose a name that ends in .mp4")
    if request.tracks is not None and request.tracks.suffix.lower() != ".csv":
        raise UserError(f"--tracks {request.tracks}: tables are written as CSV; choose a name that ends in .csv")


def _require_empty(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; name a folder for the masks")
    if output.is_dir() and any(output.iterdir()):
        raise UserError(f"{output}: not empty; name a new folder, or empty it")


@contextmanager
def _collect_closing_errors(
    path: Path, writer: AbstractContextManager[Write], unclosed: list[UserError]
) -> Iterator[Write]:
    """Open `writer`; an error raised while it closes is added to `unclosed`. Other errors propagate."""
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


def _mask_writer(output: Path) -> Write:
    return lambda frame, result: write_labels(output / f"{frame.name}.png", result.labels)


@contextmanager
def _track_writer(path: Path) -> Iterator[Write]:
    with tracks_writer(path) as add:

        def write(frame: Frame, result: Result) -> None:
            lost = [number for number, confidence in result.confidence.items() if confidence == 0]
            add(frame.name, result.boxes, lost)

        yield write


@contextmanager
def _overlay_writer(path: Path, video: Path, frames: Frames) -> Iterator[Write]:
    """A video with the frame times and the sound of the input."""
    sound = Soundtrack(video, frames.origin) if video.is_file() else None
    with video_writer(path, frames.size, frames.rate, sound, frames.pixel_aspect) as add:

        def write(frame: Frame, result: Result) -> None:
            add(overlay(frame.image, result.labels, None, result.boxes, frames.size[1]), frame.time)

        yield write
