"""`partprop segment` as a whole, with an untrained network: what is written, and what is refused."""

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.data.labels import read_labels, write_labels
from partprop.media.reading import open_frames
from partprop.segment import command as segment
from partprop.segment.command import Request, segment_video
from partprop.segment.prompts import Prompt, parse_box, parse_mask
from tiny import write_tiny_weights
from videos import SIZE


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


def test_some_of_the_frames(request_of, tmp_path: Path):
    request = request_of(start=2, end=7, every=2, overlay=tmp_path / "film.mp4")
    segment_video(request)
    assert sorted(file.name for file in request.output.iterdir()) == ["00002.png", "00004.png", "00006.png"]
    assert [frame.time for frame in open_frames(tmp_path / "film.mp4")] == [0, Fraction(2, 25), Fraction(4, 25)]
    with av.open(str(tmp_path / "film.mp4")) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert heard == pytest.approx(8000 * 5 / 25, abs=1024)  # from the first of them to the end of the last


def test_objects_that_appear_later(request_of, mask: Path):
    request = request_of(prompts=[Prompt(None, mask=mask), parse_box("3:2,2,18,40"), parse_box("5:46,4,60,40")])
    lines = segment_video(request)
    assert {"object 3 is new in frame 3", "object 4 is new in frame 5"} < set(lines)
    ids = [set(np.unique(read_labels(file))) - {0, 2} for file in sorted(request.output.iterdir())]
    assert ids[:3] == [set()] * 3
    assert 3 in ids[3]
    assert 4 in ids[5]


def test_black_and_white_masks_are_given_the_objects_that_they_show(request_of, tmp_path: Path):
    for name, columns in (("first.png", slice(5, 25)), ("second.png", slice(35, 55))):
        white = np.zeros(SIZE, np.uint8)
        white[10:30, columns] = 255
        Image.fromarray(white).save(tmp_path / name)
    prompts = [parse_mask(f"{place}{tmp_path / name}") for place, name in (("", "first.png"), ("2:7=", "second.png"))]
    request = request_of(prompts=[*prompts, parse_mask(f"4:{tmp_path / 'second.png'}")])
    lines = segment_video(request)
    assert lines[1:3] == ["object 7 is new in frame 2", "object 1 is corrected in frame 4"]
    assert read_labels(request.output / "00002.png")[20, 45] == 7
    assert read_labels(request.output / "00004.png")[20, 45] == 1


def ending(error: type[BaseException], after: int) -> type[segment.Segmenter]:
    """A segmenter that fails after some frames."""

    class Ending(segment.Segmenter):
        count = 0

        def step(self, image, labels=None):
            self.count += 1
            if self.count > after:
                raise error("in the middle")
            return super().step(image, labels)

    return Ending


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError])
def test_what_is_finished_stays(request_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error):
    monkeypatch.setattr(segment, "Segmenter", ending(error, 3))
    request = request_of(overlay=tmp_path / "film.mp4", tracks=tmp_path / "tracks.csv")
    with pytest.raises(error, match="3 frames segmented"):
        segment_video(request)
    assert len(list(request.output.iterdir())) == 3
    assert len(list(open_frames(tmp_path / "film.mp4"))) == 3
    assert (tmp_path / "tracks.csv").read_text().count("\n") > 3


def test_a_full_disk_is_named_and_what_is_finished_stays(request_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save = Image.Image.save

    def save_until_full(image: Image.Image, path: Path, **options) -> None:
        if "00003" in path.name:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(image, path, **options)

    monkeypatch.setattr(Image.Image, "save", save_until_full)
    request = request_of(overlay=tmp_path / "film.mp4", tracks=tmp_path / "tracks.csv")
    with pytest.raises(UserError, match=r"00003\.png: the disk is full; make room .*3 frames segmented"):
        segment_video(request)
    assert sorted(path.name for path in request.output.iterdir()) == ["00000.png", "00001.png", "00002.png"]
    assert len(list(open_frames(tmp_path / "film.mp4"))) == 3
    assert {row["frame"] for row in csv.DictReader((tmp_path / "tracks.csv").open())} == {"00000", "00001", "00002"}


@pytest.mark.parametrize("when", ["adding", "closing"])
@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "the disk is full; make room"), (errno.EFBIG, ".*File too large")]
)
def test_a_film_that_cannot_be_written_ends_no_other_file(
    request_of, tmp_path: Path, monkeypatch, code: int, reason: str, when: str
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

    monkeypatch.setattr(segment, "video_writer", writer_until_full)
    request = request_of(overlay=tmp_path / "film.mp4", tracks=tmp_path / "tracks.csv")
    with pytest.raises(UserError, match=rf"film\.mp4: {reason}.*after \d frames segmented"):
        segment_video(request)
    written = {path.stem for path in request.output.iterdir()}
    assert {row["frame"] for row in csv.DictReader((tmp_path / "tracks.csv").open())} == written
    assert "00002" in written
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_ctrl_c_while_files_are_closed_does_not_lose_them(request_of, tmp_path: Path, monkeypatch, interrupted: bool):
    if interrupted:
        monkeypatch.setattr(segment, "Segmenter", ending(KeyboardInterrupt, 3))
    writer = segment.video_writer

    @contextmanager
    def slowly_closed(*given):
        with writer(*given) as add:
            yield add
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(segment, "video_writer", slowly_closed)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    try:
        with pytest.raises(KeyboardInterrupt, match="3 frames") if interrupted else nullcontext():
            segment_video(request_of(overlay=tmp_path / "film.mp4", tracks=tmp_path / "tracks.csv"))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(list(open_frames(tmp_path / "film.mp4"))) == (3 if interrupted else 8)
    assert (tmp_path / "tracks.csv").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_memory_is_given_back_once_all_is_written(request_of, tmp_path: Path, monkeypatch, interrupted: bool):
    """Or what libraries take when Python ends would come on top of the most that a frame needed."""
    film, there = tmp_path / "film.mp4", list[bool]()
    monkeypatch.setattr(segment.Trimmer, "__call__", lambda self: None)
    monkeypatch.setattr(segment.Trimmer, "give_back", lambda self: there.append(film.exists()))

    def watch(done: int, total: int | None) -> None:
        if interrupted:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        segment_video(request_of(overlay=film), watch)
    assert there == [True]


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError])
def test_a_former_film_stays_where_nothing_is_finished(request_of, tmp_path: Path, monkeypatch, error):
    monkeypatch.setattr(segment, "Segmenter", ending(error, 0))
    (tmp_path / "film.mp4").write_text("former")
    with pytest.raises(error):
        segment_video(request_of(overlay=tmp_path / "film.mp4"))
    assert (tmp_path / "film.mp4").read_text() == "former"


def test_ctrl_c_on_the_command_line(request_of, tmp_path: Path, mask: Path, weights: Path, write_video):
    clip, film = write_video("long.mp4", frames=200, times=list(range(200))), tmp_path / "film.mp4"
    command = [sys.executable, "-m", "partprop", "segment", str(clip), "--mask", str(mask), "-o", str(tmp_path / "out")]
    options = ["--overlay", str(film), "--weights", str(weights), "--device", "cpu"]
    process = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    while process.poll() is None and not (tmp_path / "out/00002.png").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert (said, errors.startswith("interrupted; ")) == ("", True), errors
    finished = int(errors.split()[1])
    for kept in (list((tmp_path / "out").iterdir()), list(open_frames(film))):
        assert len(kept) - finished in (0, 1)  # it may have come while a frame was being written


def test_a_lost_object_has_a_row_without_a_box(request_of, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Losing(segment.Segmenter):
        def step(self, image, labels=None):
            return replace(super().step(image, labels), boxes=[], confidence={2: 0.0 if labels is None else 0.9})

    monkeypatch.setattr(segment, "Segmenter", Losing)
    lines = segment_video(request_of(tracks=tmp_path / "tracks.csv"))
    assert (tmp_path / "tracks.csv").read_text().splitlines()[1:3] == ["00001,2,0,,,,,0.0", "00002,2,0,,,,,0.0"]
    assert "object 2 lost in the frames 1 to 7" in lines


def test_objects_too_small_to_be_followed_are_named(request_of, tmp_path: Path, mask: Path):
    labels = read_labels(mask)
    labels[2, 60] = 5
    write_labels(tmp_path / "speck.png", labels)
    lines = segment_video(request_of(prompts=[Prompt(None, mask=tmp_path / "speck.png")], max_size=32))
    assert "object 5 is too small in frame 0 to be followed at this size" in lines
    assert not any(line.startswith("object 5 lost") for line in lines)


def test_a_correction_too_small_to_be_seen_corrects_nothing(request_of, tmp_path: Path, mask: Path):
    labels = np.zeros(SIZE, np.uint8)
    labels[2, 60] = 2
    write_labels(tmp_path / "speck.png", labels)
    prompts = [Prompt(None, mask=mask), Prompt(3, mask=tmp_path / "speck.png")]
    lines = segment_video(request_of(prompts=prompts, max_size=32))
    assert lines[:2] == ["8 frames segmented", "the mask of object 2 in frame 3 is too small to correct it"]


def test_what_is_refused_leaves_nothing(request_of, tmp_path: Path, mask: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept.txt").write_text("mine")
    for changes, message in (
        ({}, "out: holds other files already"),
        ({"prompts": []}, "neither is given"),
        ({"prompts": [Prompt(9, mask=mask)], "end": 5}, "frame 9 is not segmented"),
        ({"prompts": [Prompt(3, mask=mask)], "every": 2}, "frame 3 is not segmented"),
        ({"prompts": [parse_box("0,0,65,10")]}, "reaches outside the frames"),
        ({"start": 5, "end": 3}, "--end 3: no frame is before it from --start 5 on"),
        ({"video": tmp_path / ("long" * 99)}, "cannot be read .*; name another file"),
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


def test_a_device_that_is_not_there(request_of, tmp_path: Path):
    with pytest.raises(UserError, match="--device nonsense: cannot be used"):
        segment_video(replace(request_of(), device="nonsense"))
    assert not (tmp_path / "out").exists()


def test_a_frame_with_a_mask_that_cannot_be_read(request_of, tmp_path: Path, mask: Path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(folder / f"{number}.png")
    (folder / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="frames: frame 0 cannot be read, but --mask or --box shows an object in it"):
        segment_video(request_of(video=folder))
    (folder / "3.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"frames: frame 3 cannot be read, but .* in another frame \(after 2 frames"):
        segment_video(request_of(video=folder, prompts=[Prompt(1, mask=mask), Prompt(3, box=(1, 1, 20, 20))]))
    (folder / "3.png").write_bytes((folder / "2.png").read_bytes())
    lines = segment_video(replace(request_of(video=folder, prompts=[Prompt(1, mask=mask)]), output=tmp_path / "later"))
    assert lines[0] == "3 frames segmented"
    assert lines[-1].startswith(f"skipped {folder}/0.png: not a readable image")


def test_a_video_that_ends_before_the_object_is_shown(request_of, mask: Path):
    with pytest.raises(UserError, match=r"the mask or box of frame 20 was not used.*; so nothing was followed"):
        segment_video(request_of(prompts=[Prompt(20, mask=mask)]))


def test_boxes_leave_the_numbers_of_later_masks_alone(request_of, mask: Path):
    lines = segment_video(request_of(prompts=[parse_box("2,2,18,40"), Prompt(4, mask=mask)]))
    assert "object 2 is new in frame 4" in lines


def test_names_in_no_encoding(request_of, tmp_path: Path, mask: Path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(os.fsencode(folder) + b"/bild_\xe4_%d.png" % number)
    segment_video(request_of(video=folder, tracks=tmp_path / "tracks.csv"))
    assert b"bild_\xe4_2" in (tmp_path / "tracks.csv").read_bytes()


def test_no_file_of_the_command_is_overwritten(request_of, tmp_path: Path, mask: Path):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    clip, film = tmp_path / "clip.mp4", tmp_path / "film.mp4"
    for changes, message in (
        ({"overlay": clip}, r"--overlay .*clip\.mp4: would overwrite another file"),
        ({"tracks": mask}, r"--tracks .*first\.png: would overwrite another file"),
        ({"overlay": film, "tracks": film}, r"--tracks .*film\.mp4: would overwrite"),
        ({"overlay": tmp_path / "folder.mp4"}, r"--overlay .*folder\.mp4: is a folder"),
        ({"tracks": tmp_path / "out"}, r"--tracks .*out: is a folder"),
        ({"tracks": tmp_path / "tiny.txt"}, r"tiny\.txt: tables are written as CSV"),
        ({"tracks": tmp_path / "file/tracks.csv"}, r"cannot write there: .*file.*; choose another place"),
        ({"overlay": tmp_path / "loop.mp4"}, r"cannot write there: .*loop\.mp4.*; choose another place"),
    ):
        with pytest.raises(UserError, match=message):
            segment_video(request_of(**changes))
    assert len(list(open_frames(clip))) == 8
