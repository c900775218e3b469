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
        self._threads = torch.get_num_threads() if device.type == "cpu" else 1
        self._workers = ThreadPoolExecutor(2 * self._threads, "objects")

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """What the function gives for each item, in their order, without gradients.

        Raises:
            Exception: what the function raised for the first item for which it failed.
        """
        threads = torch.get_num_threads()
        if self._threads == 1 or len(items) < 2:
            return [function(item) for item in items]
        try:
            return [result for group in _groups(items, self._threads) for result in self._at_once(function, group)]
        finally:
            torch.set_num_threads(threads)  # threads that are still to come take over what was set last, by anyone

    def _at_once(self, function: Callable[[T], R], group: Sequence[T]) -> list[R]:
        each = max(1, self._threads // len(group))

        def run(item: T) -> R:
            torch.set_num_threads(each)  # of this worker alone
            with torch.inference_mode():  # a thread has its own mode
                return function(item)

        return list(self._workers.map(run, group))


def _groups(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Groups of `size` items; the last has those that are left over, too, so that no core waits for one of them."""
    starts = range(0, max(1, len(items) // size) * size, size)
    return [items[start : start + size] for start in starts[:-1]] + [items[starts[-1] :]]
