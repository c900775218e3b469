"""tracks.csv: round trip, format, and one-line errors for unusable files."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partprop.base.errors import UserError
from partprop.data.tracks import PartBox, object_boxes, read_object_boxes, read_part_boxes, tracks_writer

HEADER = "frame,object,part,x1,y1,x2,y2,score"
SIDE = st.floats(-1000, 5000)
PART_BOX = st.builds(
    PartBox, st.integers(1, 254), st.integers(0, 99), st.tuples(SIDE, SIDE, SIDE, SIDE), st.floats(0, 1)
)


def write(path: Path, frames: dict[str, list[PartBox]], lost: tuple[int, ...] = ()) -> None:
    with tracks_writer(path) as add:
        for name, boxes in frames.items():
            add(name, boxes, lost)


@given(boxes=st.lists(PART_BOX, min_size=1, max_size=4))
def test_boxes_are_read_back_rounded(boxes: list[PartBox], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tracks") / "tracks.csv"
    write(path, {"00000": boxes, "00001": boxes[:1]})
    found = read_part_boxes(path)
    assert list(found) == ["00000", "00001"]
    assert found["00001"] == found["00000"][:1]
    for read, written in zip(found["00000"], boxes, strict=True):
        assert (read.object_id, read.part) == (written.object_id, written.part)
        assert read.box == pytest.approx(written.box, abs=0.0051)
        assert read.score == pytest.approx(written.score, abs=0.000051)


def test_the_file_has_one_row_per_box_and_lost_object(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    write(path, {"00000": [PartBox(1, 0, (1, 2, 3.456, 4), 0.98765), PartBox(1, 3, (0, 0, 1, 1), 0.5)]}, lost=(2,))
    assert path.read_text().splitlines() == [
        HEADER,
        "00000,1,0,1,2,3.46,4,0.9877",
        "00000,1,3,0,0,1,1,0.5",
        "00000,2,0,,,,,0.0",
    ]


def test_object_boxes_are_those_of_part_0(tmp_path: Path) -> None:
    parts = [PartBox(1, 0, (1, 2, 3.5, 4), 0.9), PartBox(1, 3, (0, 0, 1, 1), 0.5)]
    write(tmp_path / "tracks.csv", {"00001": parts})
    for found in (read_object_boxes(tmp_path / "tracks.csv"), object_boxes("00001", parts)):
        assert set(found) == {("00001", 1)}
        np.testing.assert_array_equal(found["00001", 1], [1, 2, 3.5, 4])


def test_a_lost_object_has_no_box(tmp_path: Path) -> None:
    write(tmp_path / "tracks.csv", {"00002": []}, lost=(1, 2))
    assert read_object_boxes(tmp_path / "tracks.csv") == {}
    assert read_part_boxes(tmp_path / "tracks.csv") == {}


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with tracks_writer(tmp_path / "tracks.csv") as add:
            add("00000", [], [1])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_frame_names_that_are_not_valid_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"bild_\xe4")
    write(tmp_path / "tracks.csv", {name: [PartBox(1, 0, (1, 2, 3, 4), 0.9)]})
    assert b"bild_\xe4,1,0" in (tmp_path / "tracks.csv").read_bytes()
    assert set(read_part_boxes(tmp_path / "tracks.csv")) == {name}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory); "),
        ("frame,object\n00001,1\n", f"expected the columns {HEADER} ('part'); "),
        (f"{HEADER}\n00001,1,0,1,2,3,four,1\n", f"expected the columns {HEADER} (could not convert "),
        (f"{HEADER}\n00001,1,0,1,2\n", f"expected the columns {HEADER} "),
    ],
)
def test_unusable_files_are_one_line_errors(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "tracks.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as error:
        read_part_boxes(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert str(error.value).endswith("; run inference again")
    assert "\n" not in str(error.value)
