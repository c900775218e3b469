"""Overlays of the frames of a result."""

from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.data.video import Video
from partprop.report.stills import overlays

COLUMNS = "frame,object,part,x1,y1,x2,y2,score"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("frame,object\n00000,1\n", "'part'"), (f"{COLUMNS}\n00000,1,0,1,2,3,four,1\n", "four")],
)
def test_an_unusable_tracks_csv_is_named_in_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tracks.csv").write_text(content)
    with pytest.raises(UserError, match=rf"tracks\.csv: .*{message}.*; run inference again"):
        next(overlays(Video("none", (), (), (), single_object=False), tmp_path, []))
