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
def test_all_go_through_their_steps_in_order(threads: int, count: int):
    made = SideBySide(CPU).map(range(count), lambda item: item + 1, lambda item: item * item)
    assert made == [(item + 1) ** 2 for item in range(count)]


def test_objects_that_are_computed_at_once_share_the_threads(threads: int):
    used: list[int] = []
    met = threading.Barrier(threads, timeout=60)

    def work(item: int) -> None:
        met.wait()  # all at once, or this would wait for ever
        used.append(torch.get_num_threads())
        assert torch.is_inference_mode_enabled()

    with torch.inference_mode():
        SideBySide(CPU).map(range(threads), work)
    assert used == [1] * threads


def test_no_thread_is_idle_while_an_object_is_left_over(threads: int):
    met, ahead = threading.Barrier(threads, timeout=60), threading.Semaphore(1)

    def second(item: int) -> None:
        if not ahead.acquire(blocking=False):  # all but one, at once, or this would wait for ever
            met.wait()

    SideBySide(CPU).map(range(threads + 1), lambda item: item, second)


def test_one_object_has_all_threads(threads: int):
    assert SideBySide(CPU).map([0], lambda _: torch.get_num_threads()) == [threads]


def test_threads_of_others_stay_as_they_were(threads: int):
    SideBySide(CPU).map(range(4), lambda _: None)
    seen = [torch.get_num_threads()]
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert seen == [threads, threads]


@pytest.mark.parametrize("failing", [0, 1])
def test_what_fails_says_so_once_all_are_done(threads: int, failing: int):
    done = []

    def work(item: int) -> int:
        if item == 1:
            raise ValueError("the second")
        done.append(item)
        return item

    steps = [lambda item: item, lambda item: item]
    steps[failing] = work
    with pytest.raises(ValueError, match="the second"):
        SideBySide(CPU).map(range(3), *steps)
    assert torch.get_num_threads() == threads
    assert sorted(done) == ([0] if threads == 1 else [0, 2])
