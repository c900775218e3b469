"""A progress bar on stderr that stays quiet when nobody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn


@contextmanager
def progress_bar(title: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show the progress of a transfer while the block runs.

    Args:
        title: what is being done.
        total: its size in bytes; None if unknown.
        done: bytes that were done before.

    Yields:
        A function to call with the number of bytes that have been added.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as progress:
        task = progress.add_task(title, total=total, completed=done)
        yield lambda size: progress.advance(task, size)
