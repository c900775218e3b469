"""Box measures against hand-made cases."""

from pathlib import Path

import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.data.tracks import read_object_boxes
from partprop.metrics.boxes import (
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    centre_error,
    overlap,
    precision_curve,
    success_curve,
)


def box(*sides: float) -> np.ndarray:
    return np.array(sides, dtype=float)


def test_overlap_and_centre_error() -> None:
    truth = box(10, 10, 20, 30)
    assert overlap(truth, truth) == 1
    assert overlap(box(15, 10, 25, 30), truth) == pytest.approx(100 / 300)
    assert overlap(box(20, 10, 30, 30), truth) == 0
    assert overlap(box(40, 50, 60, 60), truth) == 0
    assert overlap(None, truth) == 0
    assert centre_error(box(13, 14, 23, 34), truth) == pytest.approx(5)
    assert centre_error(None, truth) == np.inf


def test_success_counts_frames_above_the_threshold() -> None:
    curve = success_curve(np.array([0.0, 0.25, 0.6, 1.0]))
    assert len(curve) == 21
    assert SUCCESS_THRESHOLDS[[0, 5, 12, 20]].tolist() == [0, 0.25, 0.6, 1]
    # Above, not at: the overlaps 0, 0.25, 0.6 and 1 drop out at their own threshold.
    assert curve[[0, 4, 5, 11, 12, 19, 20]].tolist() == [0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0]
    assert success_curve(np.ones(3)).mean() == pytest.approx(20 / 21)


def test_precision_counts_frames_up_to_the_threshold() -> None:
    curve = precision_curve(np.array([0.0, 20.0, 20.5, np.inf]))
    assert PRECISION_THRESHOLDS.tolist() == list(range(51))
    assert curve[[0, 19, 20, 21, 50]].tolist() == [0.25, 0.25, 0.5, 0.75, 0.75]


def test_tracks_are_the_rows_of_whole_objects(tmp_path: Path) -> None:
    file = tmp_path / "tracks.csv"
    file.write_text("frame,object,part,x1,y1,x2,y2,score\n00001,1,0,1,2,3.5,4,0.9\n00001,1,3,0,0,1,1,0.5\n")
    tracks = read_object_boxes(file)
    assert set(tracks) == {("00001", 1)}
    assert tracks["00001", 1].tolist() == [1, 2, 3.5, 4]


def test_a_lost_object_has_no_box(tmp_path: Path) -> None:
    """As `partprop segment --tracks` writes it."""
    file = tmp_path / "tracks.csv"
    file.write_text("frame,object,part,x1,y1,x2,y2,score\n00001,1,0,1,2,3.5,4,0.9\n00002,1,0,,,,,0.0\n")
    assert set(read_object_boxes(file)) == {("00001", 1)}


@pytest.mark.parametrize("content", ["frame,object\n00001,1\n", "frame,object,part,x1,y1,x2,y2\n00001,1,0,a,2,3,4\n"])
def test_malformed_tracks_are_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tracks.csv"
    file.write_text(content)
    with pytest.raises(UserError, match=r"tracks\.csv: expected the columns"):
        read_object_boxes(file)
