"""Films play what was given, when it was to be shown, with the sound that belongs to it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.conftest import SIZE, picture
from partprop.media.reading import open_frames
from partprop.media.writing import Soundtrack, film_writer

TIMES = [Fraction(time, 100) for time in (0, 4, 8, 30, 34, 80)]


def write(path: Path, size: tuple[int, int] = SIZE, sound: Soundtrack | None = None, start: float = 0) -> None:
    with film_writer(path, size, Fraction(25), sound) as add:
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


@pytest.mark.parametrize(
    ("name", "codec", "sound"), [("loud.mp4", "libx264", True), ("loud.avi", "mpeg4", "pcm_s16le")]
)
@pytest.mark.parametrize("start", [0, 3])
def test_sound_is_kept(tmp_path: Path, write_video, name: str, codec: str, sound: str | bool, start: int):
    if name.endswith("avi") and start:
        return  # AVI has no times
    loud = write_video(name, frames=20, codec=codec, sound=sound, start=start)
    write(tmp_path / "film.mp4", sound=Soundtrack(loud, open_frames(loud).origin))
    heard = sound_of(tmp_path / "film.mp4")
    assert len(heard) == pytest.approx(0.8 * 8000, abs=2 * 1024)
    assert np.abs(heard[2000:5000]).max() == pytest.approx(0.5, abs=0.1)


def test_sound_of_a_rate_that_aac_does_not_have(tmp_path: Path):
    path = tmp_path / "loud.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        voice = container.add_stream("pcm_s16le", rate=192000, layout="stereo")
        for number in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        noise = np.random.default_rng(0).integers(-9000, 9000, (1, 2 * 153600)).astype(np.int16)
        sound = av.AudioFrame.from_ndarray(noise, "s16", "stereo")
        sound.sample_rate, sound.pts = 192000, 0
        container.mux([*stream.encode(), *voice.encode(sound), *voice.encode()])
    write(tmp_path / "film.mp4", sound=Soundtrack(path, Fraction(0)))
    assert len(sound_of(tmp_path / "film.mp4")) == pytest.approx(0.8 * 48000, abs=6 * 1024)


def test_sound_starts_where_the_film_does(tmp_path: Path, write_video):
    loud = write_video("loud.mp4", frames=20, sound=True)  # 0.8 s
    write(tmp_path / "film.mp4", sound=Soundtrack(loud, Fraction(0)), start=0.5)
    assert len(sound_of(tmp_path / "film.mp4")) == pytest.approx(0.3 * 8000, abs=2 * 1024)


def test_a_silent_video_makes_a_silent_film(tmp_path: Path, write_video):
    write(tmp_path / "film.mp4", sound=Soundtrack(write_video("silent.mp4"), Fraction(0)))
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert not container.streams.audio


def test_pixels_that_are_not_square_stay_so(tmp_path: Path):
    with film_writer(tmp_path / "film.mp4", SIZE, Fraction(25), pixel_aspect=Fraction(4, 3)) as add:
        add(picture(0), Fraction(0))
    frames = open_frames(tmp_path / "film.mp4")
    assert (frames.size, frames.pixel_aspect) == (SIZE, Fraction(4, 3))


def test_nothing_is_left_where_an_error_ends_it(tmp_path: Path):
    def fail() -> None:
        with film_writer(tmp_path / "film.mp4", SIZE, Fraction(25)) as add:
            add(picture(0), Fraction(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
