"""Batches made in a second thread while the one before is trained on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Batch = TypeVar("Batch")


def prefetched(prepare: Callable[[int], Batch], first: int, steps: int) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) for the steps from `first` to `steps` - 1.

    Args:
        prepare: makes the batch of a step from its number alone, so that a resumed training sees the same ones.
    """
    with ThreadPoolExecutor(max_workers=1) as executor:
        waiting = executor.submit(prepare, first) if first < steps else None
        for step in range(first, steps):
            assert waiting is not None
            batch = waiting.result()
            waiting = executor.submit(prepare, step + 1) if step + 1 < steps else None
            yield step, batch
