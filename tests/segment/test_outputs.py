"""Outputs of `partprop segment`: complete files, and refused places."""

import csv
import errno
import os
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.media.reading import open_frames
from partprop.segment import command as segment
from partprop.segment import outputs
from partprop.segment.command import segment_video
from videos import SIZE


def test_a_full_disk_is_named_and_finished_frames_are_kept(
    make_request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save = Image.Image.save

    def save_until_full(image: Image.Image, path: Path, **options) -> None:
        if "00003" in path.name:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", save_until_full)
    request = make_request(overlay=tmp_path / "overlay.mp4", tracks=tmp_path / "tracks.csv")
    with pytest.raises(UserError, match=r"00003\.png: the disk is full; make room .*3 frames segmented"):
        segment_video(request)
    assert sorted(path.name for path in request.output.iterdir()) == ["00000.png", "00001.png", "00002.png"]
    assert len(list(open_frames(tmp_path / "overlay.mp4"))) == 3
    assert {row["frame"] for row in csv.DictReader((tmp_path / "tracks.csv").open())} == {"00000", "00001", "00002"}


@pytest.mark.parametrize("when", ["adding", "closing"])
@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "the disk is full; make room"), (errno.EFBIG, ".*File too large")]
)
def test_an_overlay_that_cannot_be_written_leaves_the_other_outputs_complete(
    make_request, tmp_path: Path, monkeypatch, code: int, reason: str, when: str
):
    full = OSError(code, os.strerror(code))

    @contextmanager
    def writer_until_full(path: Path, *_):
        def add(image: np.ndarray, time: Fraction) -> None:
            if when == "adding" and time > 0.25:
                raise full

        with atomic_write(path):
            yield add
            raise full

    monkeypatch.setattr(outputs, "video_writer", writer_until_full)
    request = make_request(overlay=tmp_path / "overlay.mp4", tracks=tmp_path / "tracks.csv")
    with pytest.raises(UserError, match=rf"overlay\.mp4: {reason}.*after \d frames segmented"):
        segment_video(request)
    written = {path.stem for path in request.output.iterdir()}
    assert {row["frame"] for row in csv.DictReader((tmp_path / "tracks.csv").open())} == written
    assert "00002" in written
    assert not (tmp_path / "overlay.mp4").exists()


def test_a_lost_object_has_a_row_without_a_box(make_request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Losing(segment.Segmenter):
        def step(self, image, labels=None):
            return replace(super().step(image, labels), boxes=[], confidence={2: 0.0 if labels is None else 0.9})

    monkeypatch.setattr(segment, "Segmenter", Losing)
    lines = segment_video(make_request(tracks=tmp_path / "tracks.csv"))
    assert (tmp_path / "tracks.csv").read_text().splitlines()[1:3] == ["00001,2,0,,,,,0.0", "00002,2,0,,,,,0.0"]
    assert "object 2 lost in frames 1 to 7" in lines


def test_file_names_that_are_not_valid_utf8(make_request, tmp_path: Path, mask: Path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(os.fsencode(folder) + b"/bild_\xe4_%d.png" % number)
    segment_video(make_request(video=folder, tracks=tmp_path / "tracks.csv"))
    assert b"bild_\xe4_2" in (tmp_path / "tracks.csv").read_bytes()


def test_outputs_never_overwrite_other_files_of_the_command(make_request, tmp_path: Path, mask: Path):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    clip, overlay = tmp_path / "clip.mp4", tmp_path / "overlay.mp4"
    for changes, message in (
        ({"overlay": clip}, r"--overlay .*clip\.mp4: would overwrite another file"),
        ({"tracks": mask}, r"--tracks .*first\.png: would overwrite another file"),
        ({"overlay": overlay, "tracks": overlay}, r"--tracks .*overlay\.mp4: would overwrite"),
        ({"overlay": tmp_path / "folder.mp4"}, r"--overlay .*folder\.mp4: is a folder"),
        ({"tracks": tmp_path / "out"}, r"--tracks .*out: is a folder"),
        ({"tracks": tmp_path / "tiny.txt"}, r"tiny\.txt: tables are written as CSV"),
        ({"tracks": tmp_path / "file/tracks.csv"}, r"output cannot be written: .*file.*; choose another place"),
        ({"overlay": tmp_path / "loop.mp4"}, r"output cannot be written: .*loop\.mp4.*; choose another place"),
    ):
        with pytest.raises(UserError, match=message):
            segment_video(make_request(**changes))
    assert len(list(open_frames(clip))) == 8
