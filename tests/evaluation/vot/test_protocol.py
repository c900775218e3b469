"""The supervised protocol of VOT on runs made by hand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partprop.base.errors import UserError
from partprop.evaluation.vot.protocol import (
    BURN_IN,
    SKIPPED,
    accuracy,
    read_supervised,
    robustness,
    supervise,
    write_supervised,
)

TRUE = np.array([10.0, 10, 20, 20])
HALF = np.array([10.0, 10, 20, 15])  # overlaps TRUE by a half
ELSEWHERE = np.array([50.0, 50, 60, 60])


class Tracker:
    """Yields HALF, or ELSEWHERE in the frames in which it fails."""

    def __init__(self, frames: int, failures: set[int]) -> None:
        self.frames, self.failures, self.starts = frames, failures, list[int]()

    def __call__(self, start: int) -> Iterator[np.ndarray]:
        self.starts.append(start)
        for frame in range(start + 1, self.frames):
            yield ELSEWHERE if frame in self.failures else HALF


def test_a_tracker_is_restarted_after_each_failure() -> None:
    tracker = Tracker(60, {20, 40})
    run = supervise([TRUE] * 60, tracker)
    assert tracker.starts == [0, 25, 45]
    assert np.flatnonzero(run.failed).tolist() == [20, 40]
    assert np.flatnonzero(~np.isnan(run.overlaps)).tolist() == [*range(10, 20), *range(35, 40), *range(55, 60)]
    assert (accuracy([run]), robustness([run])) == (0.5, 2)


def test_a_missing_box_is_a_failure_and_ends_the_run() -> None:
    run = supervise([TRUE] * 30, lambda start: iter([HALF] * 11 + [None] + [HALF] * 17))
    assert np.flatnonzero(run.failed)[0] == 12
    assert np.isnan(run.overlaps[12 : 12 + SKIPPED + BURN_IN]).all()


def test_hidden_frames_neither_fail_nor_count_and_a_restart_waits_for_the_object() -> None:
    true = [TRUE] * 15 + [None] * 10 + [TRUE] * 25
    tracker = Tracker(50, {14, *range(15, 25)})
    run = supervise(true, tracker)
    assert tracker.starts == [0, 25]  # five frames after the failure the object is still hidden
    assert run.failed.sum() == 1
    assert np.isnan(run.overlaps[15:35]).all()


def test_a_failure_near_the_end_is_the_last() -> None:
    tracker = Tracker(30, {28})
    assert supervise([TRUE] * 30, tracker).failed.sum() == 1
    assert tracker.starts == [0]


@settings(deadline=None)
@given(st.integers(1, 60), st.sets(st.integers(1, 59)))
def test_failures_are_more_than_the_skipped_frames_apart(frames: int, failures: set[int]) -> None:
    run = supervise([TRUE] * frames, Tracker(frames, failures))
    found = np.flatnonzero(run.failed)
    assert set(found.tolist()) <= failures
    assert (np.diff(found) > SKIPPED).all()
    assert np.nansum(run.overlaps) == pytest.approx(0.5 * np.count_nonzero(~np.isnan(run.overlaps)))


def test_accuracy_and_robustness_are_means_over_the_objects() -> None:
    short = supervise([TRUE] * 5, Tracker(5, set()))  # all burn-in
    long, failing = (supervise([TRUE] * 40, Tracker(40, failures)) for failures in (set(), {15}))
    assert accuracy([short, long]) == 0.5
    perfect = supervise([TRUE] * 20, lambda start: iter([TRUE] * 19))  # ten frames that count, thirty of `long`
    assert accuracy([long, perfect]) == 0.75
    assert accuracy([short]) is None
    assert robustness([long, failing]) == 0.5


def test_runs_are_read_as_they_were_written(tmp_path: Path) -> None:
    run = supervise([TRUE] * 20, Tracker(20, {15}))
    write_supervised(tmp_path / "supervised.csv", [f"{index:05d}" for index in range(20)], {1: run, 3: run})
    read = read_supervised(tmp_path / "supervised.csv")
    assert list(read) == [1, 3]
    np.testing.assert_array_equal(read[3].overlaps, run.overlaps)
    np.testing.assert_array_equal(read[3].failed, run.failed)
    with pytest.raises(UserError, match=r"absent\.csv: cannot be read"):
        read_supervised(tmp_path / "absent.csv")
    (tmp_path / "other.csv").write_text("frame,object\n1,2\n")
    with pytest.raises(UserError, match=r"other\.csv: expected the columns"):
        read_supervised(tmp_path / "other.csv")
