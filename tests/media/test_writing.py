"""Written videos: frames, their times and format."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.media.reading import open_frames
from partprop.media.sound import Soundtrack
from partprop.media.writing import video_writer
from videos import SIZE, picture

TIMES = [Fraction(time, 100) for time in (0, 4, 8, 30, 34, 80)]


def write(path: Path, size: tuple[int, int] = SIZE, sound: Soundtrack | None = None) -> None:
    with video_writer(path, size, Fraction(25), sound) as add:
        for number, time in enumerate(TIMES):
            add(picture(number, size), time)


def test_times_and_pictures_are_preserved(tmp_path: Path):
    write(tmp_path / "written.mp4")
    frames = list(open_frames(tmp_path / "written.mp4"))
    assert [frame.time for frame in frames] == TIMES
    for number, frame in enumerate(frames):
        np.testing.assert_allclose(frame.image[-1, -1].astype(int), picture(number)[-1, -1], atol=3)


def test_the_format_that_browsers_need(tmp_path: Path):
    write(tmp_path / "written.mp4", (49, 65))
    with av.open(str(tmp_path / "written.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.height, stream.width) == (48, 64)
    content = (tmp_path / "written.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # playback can start before the file is loaded


def test_file_names_with_a_colon(tmp_path: Path, write_video, monkeypatch: pytest.MonkeyPatch):
    write_video("10:30.mp4", sound=True)
    monkeypatch.chdir(tmp_path)
    write(Path("written:1.mp4"), sound=Soundtrack(Path("10:30.mp4"), Fraction(0)))
    assert [frame.time for frame in open_frames(Path("written:1.mp4"))] == TIMES
    with av.open(str(tmp_path / "written:1.mp4")) as container:
        assert container.streams.audio


@pytest.mark.parametrize("size", [(1, 64), (48, 1)])
def test_frames_too_small_for_h264_are_a_one_line_error(tmp_path: Path, size: tuple[int, int]):
    with pytest.raises(UserError, match=rf"written\.mp4: frames of {size[1]}x{size[0]} pixels are too small"):
        write(tmp_path / "written.mp4", size)


def test_equal_frames_give_equal_bytes(tmp_path: Path):
    def encoded() -> bytes:
        content = BytesIO()
        with video_writer(content, SIZE, Fraction(12), reproducible=True) as add:
            for number in range(30):
                add(picture(number), Fraction(number, 12))
        return content.getvalue()

    content = encoded()
    assert content == encoded()
    (tmp_path / "written.mp4").write_bytes(content)
    assert open_frames(tmp_path / "written.mp4").count == 30


def test_the_pixel_aspect_ratio_is_preserved(tmp_path: Path):
    with video_writer(tmp_path / "written.mp4", SIZE, Fraction(25), pixel_aspect=Fraction(4, 3)) as add:
        add(picture(0), Fraction(0))
    frames = open_frames(tmp_path / "written.mp4")
    assert (frames.size, frames.pixel_aspect) == (SIZE, Fraction(4, 3))


def test_an_error_leaves_no_file(tmp_path: Path):
    def fail() -> None:
        with video_writer(tmp_path / "written.mp4", SIZE, Fraction(25)) as add:
            add(picture(0), Fraction(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
