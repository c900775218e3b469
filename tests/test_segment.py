"""`partprop segment` as a whole, with an untrained network: what is written, and what is refused."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from media.conftest import SIZE
from media.conftest import write_video as write_video
from partprop import segment
from partprop.data.labels import read_labels, write_labels
from partprop.errors import UserError
from partprop.media.prompts import Prompt, parse_box
from partprop.media.reading import open_frames
from partprop.segment import Absences, Request, segment_video
from tiny import write_tiny_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    labels = np.zeros(SIZE, np.uint8)
    labels[10:30, 20:45] = 2
    write_labels(tmp_path / "first.png", labels)
    return tmp_path / "first.png"


@pytest.fixture
def request_of(tmp_path: Path, weights: Path, mask: Path, write_video):
    def make(**changes) -> Request:
        video = changes.pop("video", None) or write_video("clip.mp4", frames=8, sound=True)
        prompts = changes.pop("prompts", [Prompt(None, mask=mask)])
        return Request(video, tmp_path / "out", prompts, weights=weights, device="cpu", **changes)

    return make


def test_masks_tracks_and_film(request_of, tmp_path: Path, mask: Path):
    request = request_of(overlay=tmp_path / "film.mp4", tracks=tmp_path / "tracks.csv")
    lines = segment_video(request)
    assert lines[0] == "8 frames segmented"
    written = sorted(request.output.iterdir())
    assert [file.name for file in written] == [f"{number:05d}.png" for number in range(8)]
    np.testing.assert_array_equal(read_labels(written[0]), read_labels(mask))
    assert all(read_labels(file).shape == SIZE for file in written)
    with (tmp_path / "tracks.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(rows[0][side]) for side in ("x1", "y1", "x2", "y2")] == pytest.approx([20, 10, 45, 30], abs=1)
    film, original = open_frames(tmp_path / "film.mp4"), open_frames(request.video)
    assert film.size == SIZE
    assert [frame.time for frame in film] == [frame.time for frame in original]


def test_some_of_the_frames(request_of):
    request = request_of(start=2, end=7, every=2)
    segment_video(request)
    assert sorted(file.name for file in request.output.iterdir()) == ["00002.png", "00004.png", "00006.png"]


def test_objects_that_appear_later(request_of, mask: Path):
    request = request_of(prompts=[Prompt(None, mask=mask), parse_box("3:2,2,18,40"), parse_box("5:46,4,60,40")])
    segment_video(request)
    ids = [set(np.unique(read_labels(file))) - {0, 2} for file in sorted(request.output.iterdir())]
    assert ids[:3] == [set()] * 3
    assert 3 in ids[3]
    assert 4 in ids[5]


def test_what_is_finished_stays_after_ctrl_c(request_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Interrupted(segment.Segmenter):
        def step(self, image, labels=None):
            self.count = getattr(self, "count", 0) + 1
            if self.count > 3:
                raise KeyboardInterrupt
            return super().step(image, labels)

    monkeypatch.setattr(segment, "Segmenter", Interrupted)
    request = request_of(overlay=tmp_path / "film.mp4", tracks=tmp_path / "tracks.csv")
    with pytest.raises(KeyboardInterrupt):
        segment_video(request)
    assert len(list(request.output.iterdir())) == 3
    assert len(list(open_frames(tmp_path / "film.mp4"))) == 3
    assert (tmp_path / "tracks.csv").read_text().count("\n") > 3


def test_what_is_refused_leaves_nothing(request_of, tmp_path: Path, mask: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept.txt").write_text("mine")
    for changes, message in (
        ({}, "out: holds other files already"),
        ({"prompts": []}, "neither is given"),
        ({"prompts": [Prompt(9, mask=mask)], "end": 5}, "frame 9 is not segmented"),
        ({"prompts": [Prompt(3, mask=mask)], "every": 2}, "frame 3 is not segmented"),
        ({"prompts": [parse_box("0,0,65,10")]}, "reaches outside the frames"),
    ):
        with pytest.raises(UserError, match=message):
            segment_video(request_of(**changes))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["kept.txt"]


def test_a_start_after_the_end_leaves_no_film(request_of, tmp_path: Path):
    with pytest.raises(UserError, match="has no frame 8"):
        segment_video(request_of(start=8, overlay=tmp_path / "film.mp4"))
    assert not (tmp_path / "film.mp4").exists()
    with pytest.raises(UserError, match=r"film\.avi: films are written as MP4"):
        segment_video(request_of(overlay=tmp_path / "film.avi"))


def test_a_device_that_is_not_there(request_of):
    with pytest.raises(UserError, match="--device nonsense: cannot be used"):
        segment_video(replace(request_of(), device="nonsense"))


def test_when_objects_were_lost():
    absences = Absences()
    for frame, lost in enumerate([(), (1,), (1, 2), (1,), (), (2,)]):
        absences.note(frame, {number: 0.0 if number in lost else 0.9 for number in (1, 2)})
    assert absences.highest == 2
    assert absences.report() == [
        "object 1 lost in the frames 1 to 3",
        "object 2 lost in the frames 2 to 2, 5 to 5",
    ]
