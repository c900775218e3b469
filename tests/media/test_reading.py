"""Frames of videos and folders: order, times, orientation, and how damaged input is handled."""

import gc
import struct
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from partprop.base.errors import UserError
from partprop.media import reading
from partprop.media.reading import open_frames
from partprop.media.writing import video_writer
from videos import SIZE, picture


def numbers(frames) -> list[int]:
    """The number of each `picture`, from its brightness."""
    return [round((float(frame.image[-1, -1].mean()) - 40) / 5) for frame in frames]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("clip.mp4", "libx264"), ("clip.mkv", "libx264"), ("clip.avi", "mpeg4"), ("clip.webm", "libvpx")],
)
def test_formats(write_video, name: str, codec: str):
    frames = open_frames(write_video(name, codec=codec))
    assert frames.size == SIZE
    assert frames.count == 12
    seen = list(frames)
    assert numbers(seen) == list(range(12))
    assert [frame.name for frame in seen[:2]] == ["00000", "00001"]
    assert seen[0].image.shape == (*SIZE, 3)
    assert frames.problems == []


def test_frames_can_be_read_twice(write_video):
    frames = open_frames(write_video())
    assert numbers(frames) == numbers(frames)


def test_times_of_a_variable_frame_rate(write_video):
    times = [0, 4, 8, 30, 34, 80]
    frames = open_frames(write_video(frames=6, times=times))
    assert [frame.time for frame in frames] == [Fraction(time, 100) for time in times]


def test_decoded_frames_are_freed_at_once(write_video):
    """In long videos, memory would grow if frames waited for Python's garbage collection."""
    frames = open_frames(write_video(frames=30, rotation=90))
    gc.collect()
    gc.disable()
    try:
        kept = [sum(type(each) is av.VideoFrame for each in gc.get_objects()) for _ in frames]
        assert len(kept) == 30
        assert max(kept) < 10
    finally:
        gc.enable()


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (-90, (0, -1))])
def test_the_rotation_flag_is_applied(write_video, rotation: int, corner: tuple[int, int]):
    """A player rotates the stored picture counter-clockwise by the flag; the red corner shows the result."""
    frames = open_frames(write_video(rotation=rotation))
    image = next(iter(frames)).image
    assert frames.size == image.shape[:2] == (SIZE if rotation % 180 == 0 else SIZE[::-1])
    red, green, _ = image[corner].astype(int)
    assert red > 150 > green


IDENTITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # as MP4 stores a display matrix


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((-1, 0, 0, 1), (0, -1)),  # mirrored
        ((1, 0, 0, -1), (-1, 0)),  # upside down
        ((0, 1, 1, 0), (0, 0)),  # rows and columns exchanged
        ((0, -1, -1, 0), (-1, -1)),
    ],
)
def test_mirrored_videos_are_read_mirrored(write_video, matrix: tuple[int, ...], corner: tuple[int, int]):
    """x' = a x + c y and y' = b x + d y of (a, b, c, d), shifted into the picture (ISO/IEC 14496-12, 6.2.2)."""
    path = write_video()
    a, b, c, d = (side << 16 for side in matrix)
    moved = [size << 16 if min(sides) < 0 else 0 for size, sides in ((64, (a, c)), (48, (b, d)))]
    content, at = bytearray(path.read_bytes()), path.read_bytes().index(b"tkhd")
    at = content.index(IDENTITY, at)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, *moved, 1 << 30)
    path.write_bytes(content)
    frames = open_frames(path)
    image = next(iter(frames)).image
    assert frames.size == image.shape[:2] == (SIZE if a else SIZE[::-1])
    red, green, _ = image[corner].astype(int)
    assert red > 150 > green


@pytest.mark.parametrize("spare", [0, 1])  # bytes of an incomplete frame
def test_a_truncated_video_yields_its_complete_frames(write_video, spare: int):
    path = write_video("clip.mp4", frames=40, codec="mjpeg", options={"movflags": "faststart"})
    content = path.read_bytes()
    starts = [index for index in range(len(content) - 1) if content[index : index + 3] == b"\xff\xd8\xff"]
    path.write_bytes(content[: starts[25] + spare])
    frames = open_frames(path)
    assert numbers(frames) == list(range(25))
    assert any("of 40 frames were found: the file is cut or damaged" in problem for problem in frames.problems)


def test_a_truncated_video_with_predicted_frames(write_video):
    path = write_video("clip.mp4", frames=40, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames = open_frames(path)
    seen = numbers(frames)
    assert 2 < len(seen) < 40
    assert seen[:3] == [0, 1, 2]
    assert seen == sorted(set(seen))  # which of the last frames are decoded depends on the decoder's threads
    assert frames.problems[-1] == f"only {len(seen)} of 40 frames were found: the file is cut or damaged"


def spoil(path: Path) -> None:
    """Overwrite the fifth and sixth frame."""
    content = bytearray(path.read_bytes())
    starts = [index for index in range(len(content) - 1) if content[index : index + 3] == b"\xff\xd8\xff"]
    for start, following in pairwise(starts[4:7]):
        content[start : following - 10] = bytes(following - 10 - start)  # up to the header of the next frame
    path.write_bytes(content)


def test_frames_that_cannot_be_decoded_are_skipped_and_reported(write_video):
    path = write_video("clip.avi", codec="mjpeg", frames=12)
    spoil(path)
    frames = open_frames(path)
    assert numbers(frames) == [0, 1, 2, 3, 6, 7, 8, 9, 10, 11]
    assert frames.problems == ["2 frames cannot be decoded and were skipped"]
    stopped = iter(frames)
    assert numbers(islice(stopped, 6))[-1] == 7
    del stopped  # the caller stops early
    assert frames.problems == ["2 frames cannot be decoded and were skipped"]


def test_a_truncated_video_that_states_its_duration_but_no_frame_count(write_video):
    path = write_video("clip.mkv", codec="mjpeg", frames=75)  # 3 s
    frames = open_frames(path)
    assert numbers(frames)[-1] == numbers(frames)[-2]  # the last `picture`s are equally bright
    assert frames.problems == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    frames = open_frames(path)
    seen = numbers(frames)
    assert seen == list(range(len(seen)))
    assert (
        f"the last frame is at {(len(seen) - 1) / 25:.1f} of 3.0 seconds: the file is cut or damaged" in frames.problems
    )


def test_damaged_frames_are_reported(tmp_path: Path):
    path, noise = tmp_path / "clip.mp4", np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    with video_writer(path, (96, 128), Fraction(25)) as add:
        for number in range(20):
            add(np.roll(noise, (number, 2 * number), (0, 1)), Fraction(number, 25))
    content = bytearray(path.read_bytes())
    for start in range(len(content) // 3, len(content) - 100, 1000):
        content[start : start + 60] = noise.tobytes()[:60]
    path.write_bytes(content)
    frames = open_frames(path)
    assert len(list(frames)) > 10
    assert any(problem.endswith("frames are damaged and may be segmented badly") for problem in frames.problems)


def test_a_colon_in_a_file_name(write_video, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    write_video("10:30.mp4")
    monkeypatch.chdir(tmp_path)
    assert numbers(open_frames(Path("10:30.mp4"))) == list(range(12))


@pytest.mark.parametrize(("mode", "kind"), [("I;16", np.uint16), ("F", np.float32)])
def test_images_with_more_than_8_bits_are_refused(tmp_path: Path, mode: str, kind: type):
    Image.fromarray(np.ones(SIZE, kind)).save(tmp_path / "0.tif")
    with pytest.raises(UserError, match=rf"0\.tif: stores grey values as {mode}.*; save it with 8 bits per channel"):
        open_frames(tmp_path)


@pytest.mark.parametrize(("name", "count"), [("clip.mkv", 12), ("clip.ts", None), ("clip.mp4", 12)])
def test_a_clock_that_does_not_start_at_zero(write_video, name: str, count: int | None):
    frames = open_frames(write_video(name, start=10))
    assert frames.origin == pytest.approx(10, abs=1.5)  # MPEG-TS adds a delay
    assert [frame.time for frame in frames] == pytest.approx([number / 25 for number in range(12)], abs=0.002)
    assert count is None or frames.count == count


def test_frames_without_times_are_evenly_spaced(write_video):
    frames = open_frames(write_video("clip.h264"))
    assert [frame.time for frame in frames] == [number / frames.rate for number in range(12)]


@pytest.mark.parametrize(("rotation", "shown"), [(0, Fraction(4, 3)), (90, Fraction(3, 4)), (180, Fraction(4, 3))])
def test_pixel_aspect_ratio(write_video, rotation: int, shown: Fraction):
    assert open_frames(write_video(rotation=rotation, aspect=Fraction(4, 3))).pixel_aspect == shown


def test_a_repeated_time_does_not_delay_later_frames(write_video, monkeypatch: pytest.MonkeyPatch):
    frames, times = open_frames(write_video(frames=6)), [0, 4, 4, 12, None, 20]
    of = reading._display_time
    monkeypatch.setattr(
        reading,
        "_display_time",
        lambda frame: None if (time := times[round(of(frame) * 25)]) is None else Fraction(time, 100),
    )
    assert [float(frame.time) for frame in frames] == [0, 0.04, 0.041, 0.12, 0.16, 0.2]


def test_a_clock_that_is_reset(write_video, tmp_path: Path):
    first, second = write_video("a.ts", frames=40, start=3), write_video("b.ts", frames=10)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    frames = open_frames(both)
    times = [frame.time for frame in frames]
    assert times == pytest.approx([number / 25 for number in range(50)], abs=0.001)
    assert any("clock is reset at frame 40" in line for line in frames.problems)


def test_frames_of_another_size_are_resized_and_reported(write_video):
    small = write_video("small.h264", frames=3, size=(24, 32)).read_bytes()
    path = write_video("clip.h264", frames=5)
    path.write_bytes(path.read_bytes() + small)
    frames = open_frames(path)
    assert [frame.image.shape[:2] for frame in frames] == [SIZE] * 8
    problems = ["3 frames differ in size from the first and were resized to it"]
    assert frames.problems == problems
    stopped = iter(frames)
    assert len(list(islice(stopped, 8))) == 8
    del stopped
    assert frames.problems == problems


def test_images_are_rotated_by_their_exif_orientation(tmp_path: Path):
    tag = Image.Exif()
    tag[0x0112] = 6  # rotate clockwise by 90 degrees
    Image.fromarray(picture(1)).save(tmp_path / "0.jpg", exif=tag, quality=95)
    frames = open_frames(tmp_path)
    image = next(iter(frames)).image
    assert frames.size == image.shape[:2] == SIZE[::-1]
    red, green, _ = image[2, -3].astype(int)
    assert red > 150 > green


def test_images_that_cannot_be_read_are_skipped_and_reported(tmp_path: Path):
    for number in range(4):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_bytes(b"no image")
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:60])
    frames = open_frames(tmp_path)
    assert [(frame.number, frame.name) for frame in frames] == [(1, "1"), (3, "3")]
    assert len(frames.problems) == 2
    assert "2.png: not a readable image" in frames.problems[1]


def test_a_folder_is_read_in_numeric_order(tmp_path: Path):
    for number in (2, 10, 1):
        Image.fromarray(picture(number)).save(tmp_path / f"img_{number}.png")
    (tmp_path / "notes.txt").write_text("no frame")
    frames = open_frames(tmp_path)
    assert frames.count == 3
    assert [frame.name for frame in frames] == ["img_1", "img_2", "img_10"]
    np.testing.assert_array_equal(next(iter(frames)).image, picture(1))


def test_unusable_inputs_are_one_line_errors(tmp_path: Path, write_video):
    (tmp_path / "text.mp4").write_text("no video at all")
    with pytest.raises(UserError, match=r"text\.mp4: not a readable video"):
        open_frames(tmp_path / "text.mp4")
    with pytest.raises(UserError, match=r"absent\.mp4: no such video"):
        open_frames(tmp_path / "absent.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: holds no images"):
        open_frames(tmp_path / "empty")
    Image.fromarray(picture(0)).save(tmp_path / "empty/0.png")
    Image.fromarray(picture(1, (20, 30))).save(tmp_path / "empty/1.png")
    with pytest.raises(UserError, match=r"1\.png: 30x20 pixels, but the first frame has 64x48"):
        open_frames(tmp_path / "empty")
    (tmp_path / "empty/1.png").unlink()
    Image.fromarray(picture(0)).save(tmp_path / "empty/0.jpg")
    with pytest.raises(UserError, match=r"0\.png: would have the same mask file as 0\.jpg"):
        open_frames(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("these are notes\n" * 50)
    with pytest.raises(UserError, match=r"notes\.txt: holds no video"):
        open_frames(tmp_path / "notes.txt")
