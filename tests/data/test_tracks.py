"""Tables of boxes: tracks.csv."""

from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.data.tracks import read_object_boxes


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
