"""Sound of written videos: copied or encoded, in sync, and as long as the frames."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from partprop.media.reading import open_frames
from partprop.media.sound import Soundtrack, _resample
from partprop.media.writing import video_writer
from videos import SIZE, picture

TIMES = [Fraction(time, 100) for time in (0, 4, 8, 30, 34, 80)]


def write(path: Path, sound: Soundtrack, start: float = 0) -> None:
    with video_writer(path, SIZE, Fraction(25), sound) as add:
        for number, time in enumerate(TIMES):
            add(picture(number), time + Fraction(start))


def sound_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def click_in(path: Path) -> float:
    """The time of the loudest sample, in seconds."""
    loudest, heard = 0.0, 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray()[0])
            if samples.max() > loudest:
                loudest, heard = samples.max(), float(frame.time) + samples.argmax() / frame.sample_rate
    return heard


@pytest.mark.parametrize(
    ("name", "codec", "sound", "start"),
    [
        ("loud.mp4", "libx264", True, 0),
        ("loud.mp4", "libx264", True, 3),
        ("loud.mkv", "libx264", True, 3),
        ("loud.ts", "libx264", True, 3),
        ("loud.avi", "mpeg4", "pcm_s16le", 0),
    ],
)
def test_sound_stays_in_sync(tmp_path: Path, write_video, name: str, codec: str, sound: str | bool, start: int):
    loud = write_video(name, frames=40, codec=codec, sound=sound, start=start, click=0.7)
    for skipped in (0, 0.4):  # time of the first written frame
        write(tmp_path / "written.mp4", sound=Soundtrack(loud, open_frames(loud).origin), start=skipped)
        assert click_in(tmp_path / "written.mp4") == pytest.approx(0.7 - skipped, abs=0.03)
        assert len(sound_of(tmp_path / "written.mp4")) == pytest.approx(
            0.8 * 8000, abs=2 * 1024
        )  # the duration of the frames


def test_sound_whose_format_changes_is_resampled_to_one_format():
    def piece(seconds: float, rate: int, layout: str) -> av.AudioFrame:
        samples = np.full((1 + (layout == "stereo"), rate), 0.3, np.float32)
        made = av.AudioFrame.from_ndarray(samples, "fltp", layout)
        made.sample_rate, made.pts, made.time_base = rate, round(seconds * 90000), Fraction(1, 90000)  # as in MPEG-TS
        return made

    pieces = [piece(0, 8000, "mono"), piece(1, 44100, "stereo"), piece(2, 8000, "mono")]
    made = list(_resample(iter(pieces), "mono", 8000))
    assert {(each.format.name, each.layout.name, each.sample_rate) for each in made} == {("fltp", "mono", 8000)}
    assert sum(each.samples for each in made) == pytest.approx(3 * 8000, abs=100)
    assert [each.pts for each in made] == pytest.approx([0, 8000, 16000], abs=80)
    assert {each.time_base for each in made} == {Fraction(1, 8000)}


@pytest.mark.parametrize("sample", [np.nan, np.inf, 1e20])
def test_invalid_samples_become_silence(sample: float):
    samples = np.full((1, 4096), 0.3, np.float32)
    samples[0, 1024:2048] = sample
    broken = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
    broken.sample_rate, broken.pts, broken.time_base = 8000, 0, Fraction(1, 8000)
    heard = np.concatenate([piece.to_ndarray()[0] for piece in _resample(iter([broken]), "mono", 8000)])
    np.testing.assert_array_equal(heard, np.where(samples[0] == np.float32(0.3), samples[0], 0))


def test_sound_at_a_rate_that_aac_does_not_support(tmp_path: Path):
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
    write(tmp_path / "written.mp4", sound=Soundtrack(path, Fraction(0)))
    assert len(sound_of(tmp_path / "written.mp4")) == pytest.approx(0.8 * 48000, abs=6 * 1024)


def test_sound_starts_with_the_first_written_frame(tmp_path: Path, write_video):
    loud = write_video("loud.mp4", frames=20, sound=True)  # 0.8 s
    write(tmp_path / "written.mp4", sound=Soundtrack(loud, Fraction(0)), start=0.5)
    assert len(sound_of(tmp_path / "written.mp4")) == pytest.approx(0.3 * 8000, abs=2 * 1024)


def test_sound_may_start_long_before_the_first_frame(tmp_path: Path, write_video):
    loud = write_video("loud.mp4", frames=150, sound=True)  # 6 s
    write(tmp_path / "written.mp4", sound=Soundtrack(loud, Fraction(5)))
    assert len(sound_of(tmp_path / "written.mp4")) == pytest.approx(0.84 * 8000, abs=2 * 1024)


def test_sound_ends_where_the_clock_is_reset(tmp_path: Path, write_video):
    first, second = write_video("a.ts", frames=50, sound=True, start=3), write_video("b.ts", frames=100, sound=True)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    frames = open_frames(both)
    with video_writer(tmp_path / "written.mp4", SIZE, Fraction(25), Soundtrack(both, frames.origin)) as add:
        for frame in frames:
            add(frame.image, frame.time)
    assert len(sound_of(tmp_path / "written.mp4")) == pytest.approx(2 * 8000, abs=3 * 1024)


def test_sound_lasts_until_the_end_of_the_last_frame(tmp_path: Path, write_video):
    loud = write_video("loud.mp4", frames=50, sound=True)  # 2 s
    with video_writer(tmp_path / "written.mp4", SIZE, Fraction(1), Soundtrack(loud, Fraction(0))) as add:
        add(picture(0), Fraction(0))
    assert len(sound_of(tmp_path / "written.mp4")) == pytest.approx(8000, abs=2 * 1024)


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("name", ["loud.mp4", "loud.mkv"])
def test_aac_is_copied(tmp_path: Path, write_video, name: str):
    loud = write_video(name, frames=30, sound=True)
    write(tmp_path / "written.mp4", sound=Soundtrack(loud, Fraction(0)), start=0.4)
    copied, original = packets_of(tmp_path / "written.mp4"), packets_of(loud)
    assert len(copied) >= 0.8 * 8000 // 1024
    assert copied == original[original.index(copied[0]) :][: len(copied)]


def test_packets_that_cannot_be_decoded_are_left_out(tmp_path: Path, write_video):
    loud = write_video("loud.mp4", frames=40, sound=True)
    content, broken = loud.read_bytes(), packets_of(loud)[4]
    assert content.count(broken) == 1
    loud.write_bytes(content.replace(broken, b"\xff" * len(broken)))
    write(tmp_path / "written.mp4", sound=Soundtrack(loud, Fraction(0)))
    kept = packets_of(tmp_path / "written.mp4")
    assert len(kept) > 4
    assert b"\xff" * len(broken) not in kept
    assert len(sound_of(tmp_path / "written.mp4")) == pytest.approx(0.8 * 8000, abs=3 * 1024)


@pytest.mark.parametrize("layout", ["mono", "5.1"])
def test_sound_has_at_most_two_channels(tmp_path: Path, layout: str):
    path = tmp_path / "loud.mp4"
    with av.open(str(path), "w") as container:
        voice = container.add_stream("aac", rate=48000, layout=layout)
        samples = np.zeros((voice.channels, 48000), np.float32)
        sound = av.AudioFrame.from_ndarray(samples, "fltp", layout)
        sound.sample_rate, sound.pts = 48000, 0
        container.mux([*voice.encode(sound), *voice.encode()])
    write(tmp_path / "written.mp4", sound=Soundtrack(path, Fraction(0)))
    with av.open(str(tmp_path / "written.mp4")) as container:
        assert container.streams.audio[0].channels == min(voice.channels, 2)


def test_a_silent_video_stays_silent(tmp_path: Path, write_video):
    write(tmp_path / "written.mp4", sound=Soundtrack(write_video("silent.mp4"), Fraction(0)))
    with av.open(str(tmp_path / "written.mp4")) as container:
        assert not container.streams.audio
