"""Still images from a folder, an archive or a mirror; pairs that cannot be used are left out and named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_sets import Host
from partprop.base.errors import UserError
from partprop.data.stills import open_stills
from partprop.download.checks import StillCounts, check_stills
from partprop.download.download import download
from partprop.download.layouts import STATIC

pytestmark = pytest.mark.usefixtures("cache")


def write_pair(folder: Path, name: str, size: tuple[int, int] = (32, 24), suffix: str = ".jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 60, 30)).save(folder / f"{name}{suffix}")
    labels = np.zeros((24, 32), np.uint8)
    labels[4:12, 4:12], labels[14:20, 14:20] = 1, 2
    Image.fromarray(labels).save(folder / f"{name}.png")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "joined/static"
    write_pair(folder / "animals", "a")
    write_pair(folder / "fss/deep", "b", suffix=".JPEG")
    (folder / "index.csv").write_text("group,name,categories\nanimals,a,dog cat\n")
    (folder / "LICENSE.txt").write_text("research only")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data/static"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


PAIRS = {"index.csv", "animals/a.jpg", "animals/a.png", "fss/deep/b.JPEG", "fss/deep/b.png"}


@pytest.mark.parametrize("depth", ["joined/static", "joined"])
def test_from_a_folder_up_to_the_folder_of_its_index(tmp_path: Path, source: Path, target: Path, depth: str) -> None:
    assert download(str(tmp_path / depth), STATIC, target, check_stills) == StillCounts(2, 4, ())
    assert files(target) == PAIRS
    assert open_stills(target).categories_in(0) == ("dog", "cat")


def test_from_an_archive_and_from_a_mirror(tmp_path: Path, source: Path, target: Path, host: Host) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "static"), "zip", source.parent))
    assert download(str(archive), STATIC, target, check_stills).objects == 4
    assert files(target) == PAIRS
    shutil.rmtree(target)
    host.files["/sets/static.zip"] = archive.read_bytes()
    assert download(f"{host.url}/sets", STATIC, target, check_stills).images == 2
    assert files(target) == PAIRS


def test_each_pair_that_cannot_be_used_is_one_line_and_left_out(source: Path, target: Path) -> None:
    write_pair(source / "bad", "size", size=(30, 24))
    write_pair(source / "bad", "empty")
    Image.new("L", (32, 24)).save(source / "bad/empty.png")
    write_pair(source / "bad", "torn")
    (source / "bad/torn.jpg").write_bytes((source / "bad/torn.jpg").read_bytes()[:200])
    write_pair(source / "bad", "lonely")
    (source / "bad/lonely.png").unlink()
    write_pair(source / "bad", "mask_alone")
    (source / "bad/mask_alone.jpg").unlink()
    with (source / "index.csv").open("a") as index:
        index.write("animals,gone,dog\n")
    counts = download(str(source), STATIC, target, check_stills)
    assert (counts.images, counts.objects) == (2, 4)
    assert files(target) == PAIRS
    lines = sorted(counts.left_out)
    assert all("\n" not in line and str(target) not in line for line in lines)
    expected = [
        "bad/empty.png: empty mask; outline the object",
        "bad/lonely.png: no such image",
        "bad/mask_alone.png: mask without an image",
        "bad/size.jpg: image of 30x24 pixels, mask of 32x24; resize one",
        "bad/torn.jpg: not a readable image",
        "index.csv: animals/gone: no such image",
    ]
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=True)] == expected


def test_a_source_without_a_usable_pair_is_an_error(tmp_path: Path, target: Path) -> None:
    write_pair(tmp_path / "sets/bad", "size", size=(30, 24))
    with pytest.raises(UserError, match=r"sets: no usable pair of image and mask \(.*resize one\)"):
        download(str(tmp_path / "sets"), STATIC, target, check_stills)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: holds no still images with masks \(no <set>/<name>\.jpg\)"):
        download(str(tmp_path / "empty"), STATIC, target, check_stills)
    assert not target.exists()


def test_upper_case_suffixes_are_pairs_too(tmp_path: Path, target: Path) -> None:
    write_pair(tmp_path / "sets/camera", "IMG_1", suffix=".JPG")
    (tmp_path / "sets/camera/IMG_1.png").rename(tmp_path / "sets/camera/IMG_1.PNG")
    assert download(str(tmp_path / "sets"), STATIC, target, check_stills) == StillCounts(1, 2, ())


def test_a_mask_of_two_images_stays_while_one_of_them_is_usable(tmp_path: Path, target: Path) -> None:
    write_pair(tmp_path / "sets/twins", "a")
    write_pair(tmp_path / "sets/twins", "a", size=(30, 24), suffix=".jpeg")
    counts = download(str(tmp_path / "sets"), STATIC, target, check_stills)
    assert (counts.images, len(counts.left_out)) == (1, 1)
    assert files(target) == {"twins/a.jpg", "twins/a.png"}
