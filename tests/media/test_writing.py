"""Films play what was given, when it was to be shown, with the sound that belongs to it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.conftest import SIZE, picture
from partprop.media.reading import open_frames
from partprop.media.writing import film_writer

TIMES = [Fraction(time, 100) for time in (0, 4, 8, 30, 34, 80)]


def write(path: Path, size: tuple[int, int] = SIZE, sound_of: Path | None = None, start: float = 0) -> None:
    with film_writer(path, size, Fraction(25), sound_of) as add:
        for number, time in enumerate(TIMES):
            add(picture(number, size), time + Fraction(start))


def sound_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_times_and_pictures_are_kept(tmp_path: Path):
    write(tmp_path / "film.mp4")
    frames = list(open_frames(tmp_path / "film.mp4"))
    assert [frame.time for frame in frames] == TIMES
    for number, frame in enumerate(frames):
        np.testing.assert_allclose(frame.image[-1, -1].astype(int), picture(number)[-1, -1], atol=3)


def test_what_browsers_need(tmp_path: Path):
    write(tmp_path / "film.mp4", (49, 65))
    with av.open(str(tmp_path / "film.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.height, stream.width) == (48, 64)
    content = (tmp_path / "film.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # it plays before it has been loaded


def test_sound_is_kept(tmp_path: Path, write_video):
    write(tmp_path / "film.mp4", sound_of=write_video("loud.mp4", frames=20, sound=True))
    sound = sound_of(tmp_path / "film.mp4")
    assert len(sound) == pytest.approx(0.8 * 8000, abs=2 * 1024)
    assert np.abs(sound[2000:5000]).max() == pytest.approx(0.5, abs=0.1)


def test_sound_starts_where_the_film_does(tmp_path: Path, write_video):
    loud = write_video("loud.mp4", frames=20, sound=True)  # 0.8 s
    write(tmp_path / "film.mp4", sound_of=loud, start=0.5)
    assert len(sound_of(tmp_path / "film.mp4")) == pytest.approx(0.3 * 8000, abs=2 * 1024)


def test_a_silent_video_makes_a_silent_film(tmp_path: Path, write_video):
    write(tmp_path / "film.mp4", sound_of=write_video("silent.mp4"))
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert not container.streams.audio


def test_nothing_is_left_where_an_error_ends_it(tmp_path: Path):
    def fail() -> None:
        with film_writer(tmp_path / "film.mp4", SIZE, Fraction(25)) as add:
            add(picture(0), Fraction(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
