"""Objects side by side in threads: the windows of one object are too small for several cores."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, NamedTuple

import torch

Step = Callable[[Any], Any]


class SideBySide:
    """Runs steps on the objects of a frame; on a CPU several objects at once, which share PyTorch's threads.

    Args:
        device: on which the steps compute.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_processor = device.type == "cpu"
        self._workers: ThreadPoolExecutor | None = None
        self._count = 0  # of workers

    def each(self, items: Sequence[Any], *steps: Step) -> list[Any]:
        """Apply the steps in turn to each item; results in the order of the items.

        Call it in inference mode. An item's step starts when a worker is free and its previous step is done: three
        objects with two steps each keep two threads busy to the end.

        Raises:
            BaseException: the exception of the first item that failed. In threads, other items finish first.
        """
        threads = torch.get_num_threads()
        if not self._on_processor or threads == 1 or len(items) < 2:
            return [_apply_all(steps, item) for item in items]
        results: list[Future[Any]] = []
        stopped, workers = threading.Event(), self._pool(threads)
        work = _Work(workers, stopped, max(1, threads // len(items)))
        try:
            for item in items:
                result: Future[Any] = Future()
                workers.submit(work.run, item, result, steps)
                results.append(result)
            wait(results)
        finally:  # after an interrupt, queued steps do not start
            stopped.set()
            wait(results)
            torch.set_num_threads(threads)  # for threads to come
        return [result.result() for result in results]

    def each_beside(self, task: Callable[[], Any], items: Sequence[Any], step: Step) -> tuple[Any, list[Any]]:
        """The task's result, and the step's for each item.

        With more items than threads, the task runs beside them; fewer items keep the cores busy by themselves.
        """
        if len(items) <= torch.get_num_threads():
            results = self.each(items, step)
            return task(), results
        first, *results = self.each([task, *(partial(step, item) for item in items)], _call)
        return first, results

    def _pool(self, threads: int) -> ThreadPoolExecutor:
        if self._workers is None or self._count != threads:
            self._workers, self._count = ThreadPoolExecutor(threads, "objects"), threads
        return self._workers


class _Work(NamedTuple):
    """What all items of a call share; each step has `threads` of PyTorch's threads."""

    workers: ThreadPoolExecutor
    stopped: threading.Event
    threads: int

    def run(self, item: Any, result: Future[Any], steps: Sequence[Step]) -> None:
        """Run an item's next step, then queue the step after it or set the result."""
        try:
            if self.stopped.is_set():
                raise CancelledError
            made = _in_inference(steps[0], item, self.threads)
            if steps[1:]:
                self.workers.submit(self.run, made, result, steps[1:])
            else:
                result.set_result(made)
        except BaseException as error:  # otherwise the caller would wait forever
            result.set_exception(error)


def _call(task: Callable[[], Any]) -> Any:
    return task()


def _apply_all(steps: Sequence[Step], value: Any) -> Any:
    for step in steps:
        value = step(value)
    return value


def _in_inference(step: Step, value: Any, threads: int) -> Any:
    """Run a step in this worker thread with `threads` of PyTorch's threads."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)  # of this worker, and of threads to come
    with torch.inference_mode():  # each thread has its own mode
        return step(value)
