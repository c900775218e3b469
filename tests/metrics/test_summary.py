"""Summaries of sequence scores: the means are those of DAVIS."""

from pathlib import Path

import numpy as np
import pytest

from label_maps import SHAPE, labelled_video, squares
from partprop.base.errors import UserError
from partprop.metrics.sequences import SequenceScores, score_sequence
from partprop.metrics.summary import box_curves, curves_over_time, mean_of_last_third, summarise


def test_means_of_two_objects(tmp_path: Path) -> None:
    truth = squares((5, 5), (30, 20))
    predictions = {"00001": squares((10, 5), (30, 20)), "00002": squares((5, 5), (50, 0))}
    scores = score_sequence(labelled_video(tmp_path / "two", [truth] * 4), predictions.__getitem__)
    assert scores.objects == (1, 2)
    assert scores.frames == ("00001", "00002")
    np.testing.assert_allclose(scores.j, [[1 / 3, 1], [1, 0]])
    np.testing.assert_allclose(scores.overlaps, [[1 / 3, 1], [1, 0]])
    np.testing.assert_allclose(scores.centre_errors, [[5, 0], [0, np.hypot(20, 20)]])

    metrics = summarise([scores])
    assert metrics["J"]["mean"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics["J"]["recall"] == pytest.approx(1 / 2)
    assert metrics["J&F"] == pytest.approx((metrics["J"]["mean"] + metrics["F"]["mean"]) / 2)
    assert metrics["boxes"]["precision_20px"] == pytest.approx((1 + 1 / 2) / 2)
    block = metrics["sequences"]["two"]
    assert block["objects"]["1"]["J"] == pytest.approx(2 / 3)
    assert block["J&F"] == pytest.approx((block["J"] + block["F"]) / 2)


def test_means_are_over_objects_not_sequences(tmp_path: Path) -> None:
    one, two = squares((5, 5)), squares((5, 5), (30, 20))
    lost = np.zeros(SHAPE, np.uint8)
    scores = [
        score_sequence(labelled_video(tmp_path / "one", [one] * 3), lambda frame: lost),
        score_sequence(labelled_video(tmp_path / "two", [two] * 3), lambda frame: two),
    ]
    metrics = summarise(scores)
    assert metrics["J"]["mean"] == pytest.approx(2 / 3)
    # the bootstrap of two videos draws the first twice, both, or the second twice
    assert metrics["J&F_interval"] == {"low": pytest.approx(0), "high": pytest.approx(1)}


def test_an_object_that_appears_later_is_averaged_over_the_frames_in_which_it_counts(tmp_path: Path) -> None:
    early, both = squares((5, 5)), squares((5, 5), (30, 20))
    video = labelled_video(tmp_path / "late", [early, early, both, both, both, both])
    metrics = summarise([score_sequence(video, lambda frame: squares((5, 5), (35, 20)))])
    assert metrics["J"]["mean"] == pytest.approx(2 / 3)
    assert metrics["sequences"]["late"]["objects"]["2"]["J"] == pytest.approx(1 / 3)
    assert metrics["sequences"]["late"]["J"] == pytest.approx(2 / 3)


def test_box_curves_leave_out_frames_without_the_object(tmp_path: Path) -> None:
    shown, gone = squares((5, 5)), np.zeros(SHAPE, np.uint8)
    video = labelled_video(tmp_path / "one", [shown, shown, gone, gone, shown])
    success, precision = box_curves([score_sequence(video, lambda frame: shown)])
    assert success.mean() == pytest.approx(20 / 21)
    assert precision[0] == 1


def test_box_measures_need_a_frame_that_shows_an_object(tmp_path: Path) -> None:
    gone = np.zeros(SHAPE, np.uint8)
    video = labelled_video(tmp_path / "one", [squares((5, 5)), gone, gone])
    with pytest.raises(UserError, match="no counted frame shows an object"):
        summarise([score_sequence(video, lambda frame: gone)])


def test_curves_curves_over_time_average_videos_of_different_lengths(tmp_path: Path) -> None:
    truth, lost = squares((5, 5)), np.zeros(SHAPE, np.uint8)
    predictions = {"00001": truth, "00002": lost}
    short = score_sequence(labelled_video(tmp_path / "short", [truth] * 4), predictions.__getitem__)
    long = score_sequence(labelled_video(tmp_path / "long", [truth] * 12), lambda frame: truth)
    j, f = curves_over_time([short, long])
    assert (j[0], j[25], j[50]) == pytest.approx((1, 0.75, 0.5))
    np.testing.assert_allclose(f, j)


def test_the_last_third_is_the_mean_of_each_objects_last_frames() -> None:
    j = np.array([[0.9, 0.9, 0.9, 0.9, 0.3, 0.5], [0.8, 0.8, 0.8, 0.8, 0.8, 0.6]])
    nothing = np.zeros_like(j)
    two = SequenceScores("two", (1, 2), tuple("abcdef"), j, j - 0.1, nothing, nothing)
    one = SequenceScores("one", (1,), tuple("abcd"), j[:1, 2:], j[:1, 2:], nothing[:1], nothing[:1])
    assert mean_of_last_third([two, one]) == pytest.approx((0.35 + 0.65 + 0.4) / 3)
    short = SequenceScores("short", (1,), ("a",), j[:1, :1], j[:1, :1], nothing[:1], nothing[:1])
    assert mean_of_last_third([short]) == pytest.approx(0.9)
