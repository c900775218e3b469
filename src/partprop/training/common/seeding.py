"""Repeatable training: fixed thread counts, and samples that depend on the seed, the step and their number alone."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric

from partprop.base.threads import use_threads
from partprop.training.common.prefetch import prefetch

Sample = TypeVar("Sample")
Batch = TypeVar("Batch")


def start_fabric(seed: int, threads: int) -> Fabric:
    """Set the number of PyTorch's threads, seed it, and start one process per device with Lightning Fabric.

    OpenCV gets one thread: it augments samples in the background thread of `prefetch`.
    """
    use_threads(threads)
    torch.manual_seed(seed)
    fabric = Fabric(accelerator="auto", devices="auto")
    fabric.launch()
    return fabric


def seeded_batches(
    fabric: Fabric,
    draw: Callable[[np.random.Generator, int, int], Sample],
    collate: Callable[[list[Sample]], Batch],
    seed: int,
    size: int,
    steps: range,
) -> Iterator[tuple[int, Batch]]:
    """Yield (step, batch) for the given steps, the batch on this process's device.

    Args:
        draw: returns a sample from its random generator, its step and its number in the step, 0 to N - 1, where N is
            `size` times the number of processes.
        collate: returns the batch of a list of `size` samples.
        size: samples per batch and process.
    """
    numbers = range(fabric.global_rank * size, (fabric.global_rank + 1) * size)

    def prepare(step: int) -> Batch:
        return collate([draw(np.random.default_rng([seed, step, number]), step, number) for number in numbers])

    for step, batch in prefetch(prepare, steps.start, steps.stop):
        on_device: Any = fabric.to_device(batch)
        yield step, on_device
