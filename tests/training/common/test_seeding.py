"""Samples depend on the seed, the step and their number alone, in whichever process and after whichever resume."""

from collections.abc import Iterator

import numpy as np

from partprop.training.common.seeding import seeded_batches


class FabricStub:
    """One of several processes; batches stay where they are."""

    def __init__(self, rank: int) -> None:
        self.global_rank = rank

    def to_device(self, batch: list) -> list:
        return batch


def draw(rng: np.random.Generator, step: int, number: int) -> tuple[int, int, float]:
    return step, number, rng.random()


def batches(rank: int, size: int, steps: range, seed: int = 5) -> Iterator[tuple[int, list]]:
    return seeded_batches(FabricStub(rank), draw, list, seed, size, steps)


def test_two_processes_draw_the_samples_of_one():
    whole = dict(batches(0, 4, range(3)))
    halves = [dict(batches(rank, 2, range(3))) for rank in (0, 1)]
    assert whole == {step: halves[0][step] + halves[1][step] for step in range(3)}
    assert [sample[:2] for sample in whole[2]] == [(2, number) for number in range(4)]


def test_a_resumed_training_draws_the_same_samples():
    assert dict(batches(0, 2, range(2, 5))) == dict(list(batches(0, 2, range(5)))[2:])


def test_other_seeds_draw_other_samples():
    first, other = (dict(batches(0, 2, range(2), seed)) for seed in (5, 6))
    values = [value for drawn in (first, other) for samples in drawn.values() for *_, value in samples]
    assert len(set(values)) == 8
