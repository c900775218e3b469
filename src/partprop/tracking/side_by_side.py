"""Objects side by side: the windows of one are too small for several cores, those of several objects are not."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import torch

Step = Callable[[Any], Any]


class SideBySide:
    """Computes something for each object of a frame, on a processor for several at once, which share PyTorch's threads.

    Args:
        device: where the steps compute.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_processor = device.type == "cpu"
        self._workers: ThreadPoolExecutor | None = None
        self._count = 0  # of workers

    def each(self, items: Sequence[Any], *steps: Step) -> list[Any]:
        """What the steps, each with what the one before gave, make of each item, in the items' order.

        To be called in inference mode, as the threads are. Steps are begun in the order in which they are queued, an
        object's next one once it is done with the last: three objects with two steps each keep two threads busy to the
        end.

        Raises:
            BaseException: what a step raised for the first item for which one failed. In threads the other items are
                finished before.
        """
        threads = torch.get_num_threads()
        if not self._on_processor or threads == 1 or len(items) < 2:
            return [_through(steps, item) for item in items]
        results: list[Future[Any]] = []
        stopped, workers = threading.Event(), self._as_many_workers(threads)
        work = _Work(workers, stopped, max(1, threads // len(items)))
        try:
            for item in items:
                result: Future[Any] = Future()
                workers.submit(work.run, item, result, steps)
                results.append(result)
            wait(results)
        finally:  # if this is interrupted, what is queued is not begun any more
            stopped.set()
            wait(results)
            torch.set_num_threads(threads)  # for threads that are still to come
        return [result.result() for result in results]

    def _as_many_workers(self, threads: int) -> ThreadPoolExecutor:
        if self._workers is None or self._count != threads:
            self._workers, self._count = ThreadPoolExecutor(threads, "objects"), threads
        return self._workers


class _Work(NamedTuple):
    """What all items of a call share; their steps have so many of PyTorch's threads each."""

    workers: ThreadPoolExecutor
    stopped: threading.Event
    threads: int

    def run(self, item: Any, result: Future[Any], steps: Sequence[Step]) -> None:
        """Do an item's next step and queue the one after it, or say what came of the last."""
        try:
            if self.stopped.is_set():
                raise CancelledError
            made = _in_inference(steps[0], item, self.threads)
            if steps[1:]:
                self.workers.submit(self.run, made, result, steps[1:])
            else:
                result.set_result(made)
        except BaseException as error:  # or who waits for the result would wait for ever
            result.set_exception(error)


def _through(steps: Sequence[Step], value: Any) -> Any:
    for step in steps:
        value = step(value)
    return value


def _in_inference(step: Step, value: Any, threads: int) -> Any:
    """What the step gives in a thread that has so many of PyTorch's."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)  # of this worker, and of threads that are still to come
    with torch.inference_mode():  # a thread has its own mode
        return step(value)
