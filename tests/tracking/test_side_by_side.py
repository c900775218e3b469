"""What is computed for several objects at once."""

import _thread
import signal
import threading
import time
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
    made = SideBySide(CPU).each(range(count), lambda item: item + 1, lambda item: item * item)
    assert made == [(item + 1) ** 2 for item in range(count)]


def test_objects_that_are_computed_at_once_share_the_threads(threads: int):
    used: list[int] = []
    met = threading.Barrier(threads, timeout=60)

    def work(item: int) -> None:
        met.wait()  # all at once, or this would wait for ever
        used.append(torch.get_num_threads())
        assert torch.is_inference_mode_enabled()

    with torch.inference_mode():
        SideBySide(CPU).each(range(threads), work)
    assert used == [1] * threads


def test_two_objects_share_four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert SideBySide(CPU).each(range(2), lambda _: torch.get_num_threads()) == [2, 2]
    finally:
        torch.set_num_threads(before)


def test_no_thread_is_idle_while_an_object_is_left_over(threads: int):
    begun: list[int] = []
    met, ahead = threading.Barrier(threads, timeout=60), threading.Semaphore(1)

    def first(item: int) -> int:
        begun.append(item)
        if item < threads:
            met.wait()
            time.sleep(0.05)  # until all first steps are queued
        return item

    def second(item: int) -> None:
        time.sleep(0.05)
        assert threads == 1 or len(begun) == threads + 1  # first steps go before
        if not ahead.acquire(blocking=False):  # all but one of these, at once, or this would wait for ever
            met.wait()

    SideBySide(CPU).each(range(threads + 1), first, second)


def test_as_many_are_computed_at_once_as_there_are_threads_now(threads: int):
    side_by_side = SideBySide(CPU)
    side_by_side.each(range(2), lambda item: item)
    torch.set_num_threads(3)
    met = threading.Barrier(3, timeout=60)
    side_by_side.each(range(3), lambda _: met.wait())


def test_one_object_has_all_threads(threads: int):
    assert SideBySide(CPU).each([0], lambda _: torch.get_num_threads()) == [threads]


def test_threads_of_others_stay_as_they_were(threads: int):
    SideBySide(CPU).each(range(4), lambda _: None)
    seen = [torch.get_num_threads()]
    new = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert seen == [threads, threads]


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_fails_says_so_once_all_are_done(threads: int, failing: int, error: type[BaseException]):
    done = []

    def work(item: int) -> int:
        if item == 1:
            raise error("the second")
        done.append(item)
        return item

    steps = [lambda item: item, lambda item: item]
    steps[failing] = work
    with pytest.raises(error, match="the second"):
        SideBySide(CPU).each(range(3), *steps)
    assert torch.get_num_threads() == threads
    assert sorted(done) == ([0] if threads == 1 else [0, 2])


def test_an_interrupt_leaves_nothing_running(threads: int):
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if len(begun) == 1:
            _thread.interrupt_main()
        time.sleep(0.05)
        return item

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            SideBySide(CPU).each(range(8), work, work)
    finally:
        signal.signal(signal.SIGINT, before)
    assert torch.get_num_threads() == threads
    so_far = len(begun)
    time.sleep(0.2)
    assert len(begun) == so_far < 16
