"""Prefetched batches arrive in order, each is prepared once, and errors are raised where the batch is used."""

import pytest

from partprop.training.common.prefetch import prefetch


@pytest.mark.parametrize(("first", "steps"), [(0, 4), (2, 4), (3, 4), (4, 4), (0, 0)])
def test_each_step_is_prepared_once_and_in_order(first: int, steps: int) -> None:
    prepared: list[int] = []

    def prepare(step: int) -> int:
        prepared.append(step)
        return step * step

    assert list(prefetch(prepare, first, steps)) == [(step, step * step) for step in range(first, steps)]
    assert prepared == list(range(first, steps))


def test_an_error_is_raised_with_its_batch() -> None:
    batches = prefetch(lambda step: 1 // (2 - step), 0, 4)
    assert next(batches) == (0, 0)
    assert next(batches) == (1, 1)
    with pytest.raises(ZeroDivisionError):
        next(batches)
