"""Scores of a sequence under the DAVIS protocol: which frames and objects count, and which predictions are refused."""

from pathlib import Path

import numpy as np
import pytest

from label_maps import SHAPE, labelled_video, squares
from partprop.base.errors import UserError
from partprop.data.video import Video
from partprop.metrics.sequences import score_sequence


def test_vanished_object_scores_1_where_the_prediction_is_empty_and_its_boxes_do_not_count(tmp_path: Path) -> None:
    shown, gone = squares((5, 5)), np.zeros(SHAPE, np.uint8)
    video = labelled_video(tmp_path / "one", [shown, shown, gone, gone, shown])
    predictions = {"00001": shown, "00002": gone, "00003": shown}
    scores = score_sequence(video, predictions.__getitem__)
    np.testing.assert_array_equal(scores.j, [[1, 1, 0]])
    np.testing.assert_array_equal(scores.f, [[1, 1, 0]])
    np.testing.assert_array_equal(scores.overlaps, [[1, np.nan, np.nan]])


def test_swapped_ids_swap_the_scores(tmp_path: Path) -> None:
    truth, prediction = squares((5, 5), (30, 20)), squares((7, 5), (30, 25))
    swap = np.array([0, 2, 1], dtype=np.uint8)
    scores = score_sequence(labelled_video(tmp_path / "plain", [truth] * 3), lambda frame: prediction)
    swapped = score_sequence(labelled_video(tmp_path / "swapped", [swap[truth]] * 3), lambda frame: swap[prediction])
    np.testing.assert_array_equal(scores.j, swapped.j[::-1])
    np.testing.assert_array_equal(scores.f, swapped.f[::-1])


def test_void_pixels_do_not_count(tmp_path: Path) -> None:
    truth = squares((5, 5))
    truth[5:15, 15:25] = 255
    prediction = squares((5, 5))
    prediction[5:15, 15:25] = 1
    scores = score_sequence(labelled_video(tmp_path / "one", [truth] * 3), lambda frame: prediction)
    np.testing.assert_array_equal([scores.j, scores.f], [[[1]], [[1]]])


def test_all_objects_are_one_in_davis_2016(tmp_path: Path) -> None:
    both = squares((5, 5), (30, 20))
    video = labelled_video(tmp_path / "one", [both] * 3, single_object=True)
    scores = score_sequence(video, lambda frame: both)
    assert scores.objects == (1,)
    np.testing.assert_array_equal(scores.j, [[1]])


def test_frames_without_annotation_do_not_count(tmp_path: Path) -> None:
    truth = squares((5, 5))
    video = labelled_video(tmp_path / "one", [truth] * 5)
    sparse = Video("one", video.frame_names, video.frames, (*video.masks[:2], None, *video.masks[3:]), False)
    assert score_sequence(sparse, lambda frame: truth).frames == ("00001", "00003")


def test_an_object_counts_from_the_frame_after_its_first_mask(tmp_path: Path) -> None:
    early, both = squares((5, 5)), squares((5, 5), (30, 20))
    video = labelled_video(tmp_path / "late", [early, early, both, both, both, both])
    scores = score_sequence(video, lambda frame: squares((5, 5), (35, 20)))
    assert scores.objects == (1, 2)
    np.testing.assert_allclose(scores.j, [[1, 1, 1, 1], [np.nan, np.nan, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("first", [3, 4])
def test_an_object_first_annotated_after_the_last_counted_frame_but_one_does_not_count(
    tmp_path: Path, first: int
) -> None:
    early, both = squares((5, 5)), squares((5, 5), (30, 20))
    maps = [both if index >= first else early for index in range(5)]
    assert score_sequence(labelled_video(tmp_path / "late", maps), lambda frame: both).objects == (1,)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (squares((5, 5), shape=(20, 60)), r"results/00001\.png: 60x20 pixels where the annotation has 60x40"),
        (squares((5, 5), (30, 20)), r"results/00001\.png: has the object id 2, .* only 1"),
    ],
)
def test_prediction_of_another_size_or_with_unknown_ids_is_refused(
    tmp_path: Path, prediction: np.ndarray, message: str
) -> None:
    video = labelled_video(tmp_path / "one", [squares((5, 5))] * 3)
    with pytest.raises(UserError, match=message):
        score_sequence(video, lambda frame: prediction, origin="results")


def test_fewer_than_three_annotated_frames_are_refused(tmp_path: Path) -> None:
    video = labelled_video(tmp_path / "short", [squares((5, 5))] * 2)
    with pytest.raises(UserError, match="short: 2 annotated frames, but the protocol needs at least three"):
        score_sequence(video, lambda frame: squares((5, 5)))


def test_a_video_whose_object_appears_too_late_is_one_line(tmp_path: Path) -> None:
    empty = squares()
    video = labelled_video(tmp_path / "late", [empty, empty, empty, squares((5, 5))])
    with pytest.raises(UserError, match="late: no annotated object appears before the last counted frame"):
        score_sequence(video, lambda _: empty)
