"""Batches prepared in a background thread while the previous one is trained on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Batch = TypeVar("Batch")


def prefetch(prepare: Callable[[int], Batch], first: int, steps: int) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) for the steps `first` to `steps` - 1.

    Args:
        prepare: returns the batch of a step. It must depend on the step alone, so that a resumed training sees the same
            batches.

    Raises:
        Exception: `prepare` raised it for the batch that is due.
    """
    with ThreadPoolExecutor(max_workers=1) as executor:
        pending = executor.submit(prepare, first) if first < steps else None
        for step in range(first, steps):
            assert pending is not None
            batch = pending.result()
            pending = executor.submit(prepare, step + 1) if step + 1 < steps else None
            yield step, batch
