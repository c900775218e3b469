"""What is computed for several objects at once."""

import threading
from collections.abc import Iterator

import pytest
import torch

from partprop.tracking.side_by_side import SideBySide

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_all_are_computed_in_order(threads: int, count: int):
    assert SideBySide(CPU).map(lambda item: item * item, range(count)) == [item * item for item in range(count)]


@pytest.mark.parametrize("left_over", [0, 1])
def test_objects_that_are_computed_at_once_share_the_threads(threads: int, left_over: int):
    used: list[int] = []
    met = threading.Barrier(threads + (left_over if threads > 1 else 0), timeout=60)

    def work(item: int) -> None:
        met.wait()  # all at once, or this would wait for ever
        used.append(torch.get_num_threads())
        assert torch.is_inference_mode_enabled()

    with torch.inference_mode():
        SideBySide(CPU).map(work, range(threads + left_over))
    assert used == [1] * (threads + left_over)


def test_one_object_has_all_threads(threads: int):
    assert SideBySide(CPU).map(lambda _: torch.get_num_threads(), [0]) == [threads]


def test_threads_of_others_stay_as_they_were(threads: int):
    SideBySide(CPU).map(lambda _: None, range(4))
    seen = [torch.get_num_threads()]
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert seen == [threads, threads]


def test_what_fails_says_so(threads: int):
    def work(item: int) -> None:
        if item == 1:
            raise ValueError("the second")

    with pytest.raises(ValueError, match="the second"):
        SideBySide(CPU).map(work, range(3))
    assert torch.get_num_threads() == threads
