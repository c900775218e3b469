"""Prefetched batches come in order, each made once, and errors arrive where the batch is used."""

import pytest

from partprop.training.common.prefetch import prefetched


@pytest.mark.parametrize(("first", "steps"), [(0, 4), (2, 4), (3, 4), (4, 4), (0, 0)])
def test_each_step_once_and_in_order(first: int, steps: int) -> None:
    made: list[int] = []

    def prepare(step: int) -> int:
        made.append(step)
        return step * step

    assert list(prefetched(prepare, first, steps)) == [(step, step * step) for step in range(first, steps)]
    assert made == list(range(first, steps))


def test_an_error_arrives_with_its_batch() -> None:
    batches = prefetched(lambda step: 1 // (2 - step), 0, 4)
    assert next(batches) == (0, 0)
    assert next(batches) == (1, 1)
    with pytest.raises(ZeroDivisionError):
        next(batches)
