"""Objects side by side: the windows of one are too small for several cores, those of several objects are not."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


class SideBySide:
    """Runs a function for each object of a frame, on a processor for several at once, which share PyTorch's threads.

    Args:
        device: where the function computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_processor = device.type == "cpu"
        self._workers = ThreadPoolExecutor(2 * torch.get_num_threads(), "objects")

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """What the function gives for each item, in their order; to be called in inference mode, as the threads are.

        Raises:
            Exception: what the function raised for the first item for which it failed.
        """
        threads = torch.get_num_threads()
        if not self._on_processor or threads == 1 or len(items) < 2:
            return [function(item) for item in items]
        results: list[R] = []
        try:
            for group in _groups(items, threads):
                results += self._at_once(function, group, max(1, threads // len(group)))
        finally:
            torch.set_num_threads(threads)  # for threads that are still to come
        return results

    def _at_once(self, function: Callable[[T], R], group: Sequence[T], threads: int) -> list[R]:
        """The results of a group, with so many threads for each of its items."""

        def run(item: T) -> R:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)  # of this worker, and of threads that are still to come
            with torch.inference_mode():  # a thread has its own mode
                return function(item)

        return list(self._workers.map(run, group))


def _groups(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Groups of `size` items; the last has those that are left over, too, so that none runs alone."""
    starts = range(0, max(1, len(items) // size) * size, size)
    return [items[start : start + size] for start in starts[:-1]] + [items[starts[-1] :]]
