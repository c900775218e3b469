"""Videos in the layout of DAVIS."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.data.video import open_davis, open_sequences

HEIGHT, WIDTH = 6, 9


def two_objects() -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[1:3, 1:4] = 1
    labels[3:5, 5:8] = 2
    labels[5, :] = 255
    return labels


def write_sequence(root: Path, name: str, frames: list[str], level: str = "480p") -> None:
    images, masks = root / "JPEGImages" / level / name, root / "Annotations" / level / name
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.new("RGB", (WIDTH, HEIGHT), (200, 10 * number, 0)).save(images / f"{frame}.jpg", quality=95)
        write_labels(masks / f"{frame}.png", two_objects())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_sequence(tmp_path, "walk", ["00000", "00002", "00004"])
    write_sequence(tmp_path, "bear", ["00000", "00001"])
    for year in (2016, 2017):
        (tmp_path / f"ImageSets/{year}").mkdir(parents=True)
        (tmp_path / f"ImageSets/{year}/train.txt").write_text("walk\n")
        (tmp_path / f"ImageSets/{year}/val.txt").write_text("walk\nbear\n\n")
    return tmp_path


def test_opens_a_split_sorted_by_name_with_gaps_in_the_frame_numbers(root: Path) -> None:
    bear, walk = open_davis(root, "val", 2017)
    assert (bear.name, walk.name) == ("bear", "walk")
    assert walk.frame_names == ("00000", "00002", "00004")
    assert len(walk) == 3
    image = walk.image(1)
    assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert abs(int(image[0, 0, 0]) - 200) < 8  # red comes first: RGB, not OpenCV's BGR
    np.testing.assert_array_equal(walk.labels(2), two_objects())


def test_year_2016_merges_the_objects_and_keeps_void(root: Path) -> None:
    [walk] = open_davis(root, "train", 2016)
    expected = two_objects()
    expected[expected == 2] = 1
    np.testing.assert_array_equal(walk.labels(0), expected)


def test_flat_layout_without_splits(tmp_path: Path) -> None:
    write_sequence(tmp_path, "clip", ["00010", "00020"], level="")
    (tmp_path / "JPEGImages/.DS_Store").write_bytes(b"")
    (tmp_path / "JPEGImages/clip/._00010.jpg").write_bytes(b"")
    [clip] = open_davis(tmp_path, None, 2017)
    assert clip.frame_names == ("00010", "00020")


def test_frames_are_in_numeric_order(tmp_path: Path) -> None:
    write_sequence(tmp_path, "clip", ["2", "10", "1"])
    assert open_sequences(tmp_path, ["clip"], 2017)[0].frame_names == ("1", "2", "10")


def test_sparse_annotations(root: Path) -> None:
    (root / "Annotations/480p/walk/00002.png").unlink()
    [walk] = open_davis(root, "train", 2017)
    assert walk.labels(1) is None
    assert walk.labels(2) is not None


def test_split_lists_of_the_2016_archive(root: Path) -> None:
    (root / "ImageSets/2016/train.txt").unlink()
    (root / "ImageSets/480p").mkdir()
    (root / "ImageSets/480p/train.txt").write_text(
        "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png \n"
        "/JPEGImages/480p/bear/00001.jpg /Annotations/480p/bear/00001.png \n"
    )
    assert [sequence.name for sequence in open_davis(root, "train", 2016)] == ["bear"]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda root: (root / "ImageSets/2017/val.txt").unlink(), "val.txt"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("\n"), "val.txt"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("absent\n"), "absent"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_text("../outside\n"), "outside"),
        (lambda root: (root / "ImageSets/2017/val.txt").write_bytes(b"\xff\xfe\xff"), "val.txt"),
        (lambda root: (root / "JPEGImages").rename(root / "jpg"), "JPEGImages"),
        (lambda root: (root / "Annotations/480p/bear").rename(root / "elsewhere"), "Annotations/480p/bear"),
        (lambda root: (root / "JPEGImages/480p/bear/00001.jpg").unlink(), "00001.png"),
        (lambda root: [file.unlink() for file in (root / "JPEGImages/480p/bear").iterdir()], "JPEGImages/480p/bear"),
        (lambda root: [file.unlink() for file in (root / "Annotations/480p/bear").iterdir()], "Annotations/480p/bear"),
        (
            lambda root: write_labels(root / "Annotations/480p/bear/00000.png", np.zeros((HEIGHT, WIDTH), np.uint8)),
            "00000.png",
        ),
        (
            lambda root: write_labels(root / "Annotations/480p/bear/00000.png", np.ones((HEIGHT, 5), np.uint8)),
            "00000.png",
        ),
        (lambda root: (root / "Annotations/480p/bear/00000.png").write_bytes(b"no image"), "00000.png"),
        (lambda root: Image.new("L", (4, 4)).save(root / "JPEGImages/480p/bear/00000.png"), "00000.png"),
    ],
)
def test_a_broken_data_set_is_a_one_line_error_that_names_the_cause(root: Path, spoil, named: str) -> None:
    spoil(root)
    with pytest.raises(UserError, match=named) as caught:
        open_davis(root, "val", 2017)
    assert "\n" not in str(caught.value)


def test_later_frames_are_checked_when_they_are_read(root: Path) -> None:
    mask, frame = root / "Annotations/480p/walk/00004.png", root / "JPEGImages/480p/walk/00004.jpg"
    [walk] = open_davis(root, "train", 2017)
    write_labels(mask, np.ones((HEIGHT + 1, WIDTH), np.uint8))
    with pytest.raises(UserError, match="9x7 pixels on a frame of 9x6"):
        walk.labels(2)
    frame.write_bytes(frame.read_bytes()[:300])
    with pytest.raises(UserError, match=r"00004\.jpg: not a readable image"):
        walk.image(2)
    frame.unlink()
    with pytest.raises(UserError, match=r"00004\.jpg: no such image"):
        walk.image(2)
