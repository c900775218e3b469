"""Scores of single frames, which are computed in a window around the two masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from label_maps import squares
from partprop.metrics.davis import boundary_f, boundary_radius, jaccard
from partprop.metrics.frames import score_frame

IDS = st.sampled_from([0, 0, 1, 2, 255])


def test_boxes_are_those_around_the_two_masks() -> None:
    score = score_frame(squares((5, 5)), squares((10, 8)))[1]
    assert score.j == pytest.approx(35 / 165)
    np.testing.assert_array_equal(score.true_box, [5, 5, 15, 15])
    np.testing.assert_array_equal(score.box, [10, 8, 20, 18])


def test_an_object_in_one_of_the_masks_only_scores_0_and_one_in_neither_is_left_out() -> None:
    scores = score_frame(squares((5, 5)), 2 * squares((30, 5)))
    assert list(scores) == [1, 2]
    assert [(score.j, score.f) for score in scores.values()] == [(0, 0), (0, 0)]
    assert scores[1].box is None
    assert scores[2].true_box is None


@given(arrays.arrays(np.uint8, (2, 12, 17), elements=IDS))
def test_scores_equal_those_of_the_whole_frame(maps: np.ndarray) -> None:
    truth, predicted = maps
    void = truth == 255
    radius = boundary_radius(truth.shape)
    for number, score in score_frame(truth, predicted).items():
        masks = predicted == number, truth == number
        assert score.j == pytest.approx(jaccard(*masks, void))
        assert score.f == pytest.approx(boundary_f(*masks, void, radius=radius))
