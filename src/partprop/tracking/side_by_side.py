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
        self._workers = ThreadPoolExecutor(torch.get_num_threads(), "objects") if device.type == "cpu" else None

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """What the function gives for each item, in their order, without gradients.

        Raises:
            Exception: what the function raised for the first item for which it failed.
        """
        threads = torch.get_num_threads()
        if self._workers is None or threads == 1 or len(items) < 2:
            return [function(item) for item in items]
        last = len(items) - len(items) % threads
        try:
            return self._share(function, items[:last], threads) + self._share(function, items[last:], threads)
        finally:
            torch.set_num_threads(threads)  # threads that are still to come take over what was set last, by anyone

    def _share(self, function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
        if len(items) < 2:
            return [function(item) for item in items]
        each = threads // min(threads, len(items))

        def run(item: T) -> R:
            torch.set_num_threads(each)  # of this worker alone
            with torch.inference_mode():  # a thread has its own mode
                return function(item)

        assert self._workers is not None
        return list(self._workers.map(run, items))
