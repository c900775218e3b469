"""Progress bars on stderr, hidden unless stderr is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


@contextmanager
def byte_bar(title: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show the progress of a transfer while the block runs: bytes, bytes per second and the time left.

    Args:
        title: what is being transferred.
        total: size in bytes; None if unknown.
        done: bytes transferred by earlier runs.

    Yields:
        A function to call with the number of bytes added.
    """
    with _bar(title, total, done, DownloadColumn(), TransferSpeedColumn()) as advance:
        yield advance


@contextmanager
def count_bar(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how many of `total` items (None if unknown) are done; yields a function to call with the number added."""
    with _bar(title, total, 0, MofNCompleteColumn()) as advance:
        yield advance


@contextmanager
def _bar(title: str, total: int | None, done: int, *amounts: ProgressColumn) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), *amounts, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(title, total=total, completed=done)
        yield lambda amount: progress.advance(task, amount)
