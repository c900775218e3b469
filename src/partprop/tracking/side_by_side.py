"""Objects side by side: the windows of one are too small for several cores, those of several objects are not."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import torch

Step = Callable[[Any], Any]


class SideBySide:
    """Computes something for each object of a frame, on a processor for several at once, which share PyTorch's threads.

    Args:
        device: where the functions compute.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_processor = device.type == "cpu"
        self._workers = ThreadPoolExecutor(torch.get_num_threads(), "objects")

    def map(self, items: Sequence[Any], *steps: Step) -> list[Any]:
        """What the steps, each with what the one before gave, make of each item, in the items' order.

        To be called in inference mode, as the threads are. First steps are begun before any second one: of three
        objects with two steps each, the last two are then done at once by two threads, and neither waits for the other.

        Raises:
            Exception: what a step raised for the first item for which one failed.
        """
        threads = torch.get_num_threads()
        if not self._on_processor or threads == 1 or len(items) < 2:
            return [_through(steps, item) for item in items]
        results: list[Future[Any]] = [Future() for _ in items]
        try:
            for item, result in zip(items, results, strict=True):
                self._begin(steps, item, result, max(1, threads // len(items)))
            wait(results)
            return [result.result() for result in results]
        finally:
            torch.set_num_threads(threads)  # for threads that are still to come

    def _begin(self, steps: Sequence[Step], value: Any, result: Future[Any], threads: int) -> None:
        """Queue the first of the steps, which queues the next; each has so many of PyTorch's threads."""

        def run() -> None:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)  # of this worker, and of threads that are still to come
            try:
                with torch.inference_mode():  # a thread has its own mode
                    made = steps[0](value)
            except Exception as error:
                result.set_exception(error)
                return
            if len(steps) == 1:
                result.set_result(made)
            else:
                self._begin(steps[1:], made, result, threads)

        self._workers.submit(run)


def _through(steps: Sequence[Step], value: Any) -> Any:
    for step in steps:
        value = step(value)
    return value
