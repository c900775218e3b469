"""`partprop segment` as a whole, with an untrained network."""

import csv
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
from partprop.data.labels import read_labels, write_labels
from partprop.media.reading import open_frames
from partprop.segment import command as segment
from partprop.segment import outputs
from partprop.segment.command import segment_video
from partprop.segment.prompts import Prompt, parse_box, parse_mask
from videos import SIZE


def test_masks_tracks_and_overlay_are_written(make_request, tmp_path: Path, mask: Path):
    request = make_request(overlay=tmp_path / "overlay.mp4", tracks=tmp_path / "tracks.csv")
    lines = segment_video(request)
    assert lines[0] == "8 frames segmented"
    written = sorted(request.output.iterdir())
    assert [file.name for file in written] == [f"{number:05d}.png" for number in range(8)]
    np.testing.assert_array_equal(read_labels(written[0]), read_labels(mask))
    assert all(read_labels(file).shape == SIZE for file in written)
    with (tmp_path / "tracks.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(rows[0][side]) for side in ("x1", "y1", "x2", "y2")] == pytest.approx([20, 10, 45, 30], abs=1)
    overlay, original = open_frames(tmp_path / "overlay.mp4"), open_frames(request.video)
    assert overlay.size == SIZE
    assert [frame.time for frame in overlay] == [frame.time for frame in original]


def test_start_end_and_every_select_frames(make_request, tmp_path: Path):
    request = make_request(start=2, end=7, every=2, overlay=tmp_path / "overlay.mp4")
    segment_video(request)
    assert sorted(file.name for file in request.output.iterdir()) == ["00002.png", "00004.png", "00006.png"]
    assert [frame.time for frame in open_frames(tmp_path / "overlay.mp4")] == [0, Fraction(2, 25), Fraction(4, 25)]
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert heard == pytest.approx(8000 * 5 / 25, abs=1024)  # from the first frame to the end of the last


def test_objects_can_be_added_in_later_frames(make_request, mask: Path):
    request = make_request(prompts=[Prompt(None, mask=mask), parse_box("3:2,2,18,40"), parse_box("5:46,4,60,40")])
    lines = segment_video(request)
    assert {"object 3 is new in frame 3", "object 4 is new in frame 5"} < set(lines)
    ids = [set(np.unique(read_labels(file))) - {0, 2} for file in sorted(request.output.iterdir())]
    assert ids[:3] == [set()] * 3
    assert 3 in ids[3]
    assert 4 in ids[5]


def test_black_and_white_masks_get_the_ids_of_the_command_line(make_request, tmp_path: Path):
    for name, columns in (("first.png", slice(5, 25)), ("second.png", slice(35, 55))):
        white = np.zeros(SIZE, np.uint8)
        white[10:30, columns] = 255
        Image.fromarray(white).save(tmp_path / name)
    prompts = [parse_mask(f"{place}{tmp_path / name}") for place, name in (("", "first.png"), ("2:7=", "second.png"))]
    request = make_request(prompts=[*prompts, parse_mask(f"4:{tmp_path / 'second.png'}")])
    lines = segment_video(request)
    assert lines[1:3] == ["object 7 is new in frame 2", "object 1 is corrected in frame 4"]
    assert read_labels(request.output / "00002.png")[20, 45] == 7
    assert read_labels(request.output / "00004.png")[20, 45] == 1


def failing_segmenter(error: type[BaseException], after: int) -> type[segment.Segmenter]:
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
def test_finished_frames_are_kept_after_an_error(make_request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error):
    monkeypatch.setattr(segment, "Segmenter", failing_segmenter(error, 3))
    request = make_request(overlay=tmp_path / "overlay.mp4", tracks=tmp_path / "tracks.csv")
    with pytest.raises(error, match="3 frames segmented"):
        segment_video(request)
    assert len(list(request.output.iterdir())) == 3
    assert len(list(open_frames(tmp_path / "overlay.mp4"))) == 3
    assert (tmp_path / "tracks.csv").read_text().count("\n") > 3


@pytest.mark.parametrize("interrupted", [False, True])
def test_ctrl_c_while_outputs_are_closed_does_not_lose_them(
    make_request, tmp_path: Path, monkeypatch, interrupted: bool
):
    if interrupted:
        monkeypatch.setattr(segment, "Segmenter", failing_segmenter(KeyboardInterrupt, 3))
    writer = outputs.video_writer

    @contextmanager
    def slowly_closed(*given):
        with writer(*given) as add:
            yield add
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(outputs, "video_writer", slowly_closed)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background processes ignore it
    try:
        with pytest.raises(KeyboardInterrupt, match="3 frames") if interrupted else nullcontext():
            segment_video(make_request(overlay=tmp_path / "overlay.mp4", tracks=tmp_path / "tracks.csv"))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(list(open_frames(tmp_path / "overlay.mp4"))) == (3 if interrupted else 8)
    assert (tmp_path / "tracks.csv").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_memory_is_released_after_all_outputs_are_written(make_request, tmp_path: Path, monkeypatch, interrupted: bool):
    """Memory that libraries allocate when Python exits would otherwise add to the peak."""
    overlay, there = tmp_path / "overlay.mp4", list[bool]()
    monkeypatch.setattr(segment.Trimmer, "__call__", lambda self: None)
    monkeypatch.setattr(segment.Trimmer, "give_back", lambda self: there.append(overlay.exists()))

    def on_progress(done: int, total: int | None) -> None:
        if interrupted:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        segment_video(make_request(overlay=overlay), on_progress)
    assert there == [True]


@pytest.mark.parametrize("error", [KeyboardInterrupt, UserError])
def test_an_existing_overlay_is_kept_if_no_frame_is_finished(make_request, tmp_path: Path, monkeypatch, error):
    monkeypatch.setattr(segment, "Segmenter", failing_segmenter(error, 0))
    (tmp_path / "overlay.mp4").write_text("former")
    with pytest.raises(error):
        segment_video(make_request(overlay=tmp_path / "overlay.mp4"))
    assert (tmp_path / "overlay.mp4").read_text() == "former"


def test_ctrl_c_on_the_command_line(make_request, tmp_path: Path, mask: Path, weights: Path, write_video):
    clip, overlay = write_video("long.mp4", frames=200, times=list(range(200))), tmp_path / "overlay.mp4"
    command = [sys.executable, "-m", "partprop", "segment", str(clip), "--mask", str(mask), "-o", str(tmp_path / "out")]
    options = ["--overlay", str(overlay), "--weights", str(weights), "--device", "cpu"]
    process = subprocess.Popen(
        [*command, *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored if the tests run in the background
    )
    while process.poll() is None and not (tmp_path / "out/00002.png").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert (said, errors.startswith("interrupted; ")) == ("", True), errors
    finished = int(errors.split()[1])
    for kept in (list((tmp_path / "out").iterdir()), list(open_frames(overlay))):
        assert len(kept) - finished in (0, 1)  # the signal may arrive while a frame is being written


def test_objects_too_small_to_be_tracked_are_reported(make_request, tmp_path: Path, mask: Path):
    labels = read_labels(mask)
    labels[2, 60] = 5
    write_labels(tmp_path / "speck.png", labels)
    lines = segment_video(make_request(prompts=[Prompt(None, mask=tmp_path / "speck.png")], max_size=32))
    assert "object 5 is too small in frame 0 to be tracked at this resolution" in lines
    assert not any(line.startswith("object 5 lost") for line in lines)


def test_a_correction_that_is_too_small_is_ignored(make_request, tmp_path: Path, mask: Path):
    labels = np.zeros(SIZE, np.uint8)
    labels[2, 60] = 2
    write_labels(tmp_path / "speck.png", labels)
    prompts = [Prompt(None, mask=mask), Prompt(3, mask=tmp_path / "speck.png")]
    lines = segment_video(make_request(prompts=prompts, max_size=32))
    assert lines[:2] == ["8 frames segmented", "object 2 is not corrected: its mask in frame 3 is too small"]


def test_refused_requests_write_nothing(make_request, tmp_path: Path, mask: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept.txt").write_text("mine")
    for changes, message in (
        ({}, "out: not empty"),
        ({"prompts": []}, "neither is given"),
        ({"prompts": [Prompt(9, mask=mask)], "end": 5}, "frame 9 is not segmented"),
        ({"prompts": [Prompt(3, mask=mask)], "every": 2}, "frame 3 is not segmented"),
        ({"prompts": [parse_box("0,0,65,10")]}, "reaches outside the frames"),
        ({"start": 5, "end": 3}, "--end 3: must be greater than --start 5"),
        ({"video": tmp_path / ("long" * 99)}, "cannot be read .*; name another file"),
    ):
        with pytest.raises(UserError, match=message):
            segment_video(make_request(**changes))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["kept.txt"]


def test_a_start_after_the_end_of_the_video_writes_no_overlay(make_request, tmp_path: Path):
    with pytest.raises(UserError, match="has no frame 8"):
        segment_video(make_request(start=8, overlay=tmp_path / "overlay.mp4"))
    assert not (tmp_path / "overlay.mp4").exists()
    with pytest.raises(UserError, match=r"overlay\.avi: videos are written as MP4"):
        segment_video(make_request(overlay=tmp_path / "overlay.avi"))


def test_an_unavailable_device_is_refused_before_anything_is_written(make_request, tmp_path: Path):
    with pytest.raises(UserError, match="--device nonsense: cannot be used"):
        segment_video(replace(make_request(), device="nonsense"))
    assert not (tmp_path / "out").exists()


def test_a_frame_with_a_prompt_must_be_readable(make_request, tmp_path: Path, mask: Path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(folder / f"{number}.png")
    (folder / "0.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="frames: frame 0 cannot be read, but --mask or --box shows an object in it"):
        segment_video(make_request(video=folder))
    (folder / "3.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"frames: frame 3 cannot be read, but .* in another frame \(after 2 frames"):
        segment_video(make_request(video=folder, prompts=[Prompt(1, mask=mask), Prompt(3, box=(1, 1, 20, 20))]))
    (folder / "3.png").write_bytes((folder / "2.png").read_bytes())
    lines = segment_video(
        replace(make_request(video=folder, prompts=[Prompt(1, mask=mask)]), output=tmp_path / "later")
    )
    assert lines[0] == "3 frames segmented"
    assert lines[-1].startswith(f"skipped {folder}/0.png: not a readable image")


def test_a_video_that_ends_before_its_only_prompt_is_refused(make_request, mask: Path):
    with pytest.raises(UserError, match=r"the mask or box of frame 20 was not used.*; no object was segmented"):
        segment_video(make_request(prompts=[Prompt(20, mask=mask)]))


def test_boxes_do_not_take_the_ids_of_later_masks(make_request, mask: Path):
    lines = segment_video(make_request(prompts=[parse_box("2,2,18,40"), Prompt(4, mask=mask)]))
    assert "object 2 is new in frame 4" in lines
