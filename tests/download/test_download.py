"""From a source to a data set on disk."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from partprop.base.cache import cache_folder
from partprop.base.errors import DiskFullError, UserError
from partprop.download.checks import CocoCounts, DavisCounts, check_coco, check_davis
from partprop.download.download import download, source_manifest
from partprop.download.http import MAX_FAILURES
from partprop.download.layouts import COCO, DAVIS, Layout, RemoteFile
from partprop.download.manifest import manifest

pytestmark = pytest.mark.usefixtures("cache")
CHECK_2017 = partial(check_davis, year=2017)
NAME_2017 = "DAVIS-2017-trainval-480p.zip"


def pack(folder: Path, archive: Path, prefix: str = "DAVIS/") -> Path:
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                opened.write(file, prefix + str(file.relative_to(folder)))
    return archive


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data/set"


@pytest.fixture
def archive(tmp_path: Path, make_davis: Callable[[Path], Path]) -> Path:
    return pack(make_davis(tmp_path / "made"), tmp_path / NAME_2017)


def leftovers(target: Path) -> list[Path]:
    return [path for path in target.parent.glob("*") if path != target] if target.parent.exists() else []


def test_coco_from_a_folder(tmp_path: Path, target: Path, make_coco: Callable[[Path], Path]) -> None:
    source = make_coco(tmp_path / "made")
    assert download(str(source), COCO, target, check_coco) == CocoCounts(images=2, instances=2)
    assert manifest(target) == manifest(source)


def test_splits_with_different_categories_are_a_one_line_error(
    tmp_path: Path, make_coco: Callable[[Path], Path]
) -> None:
    source = make_coco(tmp_path / "made")
    file = source / "annotations/instances_val2017.json"
    content = json.loads(file.read_text())
    content["categories"].append({"id": 4711, "name": "unicorn"})
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"instances_val2017\.json: its categories differ from instances_train"):
        check_coco(source)


def test_davis_from_an_archive(target: Path, archive: Path) -> None:
    assert download(str(archive), DAVIS[2017], target, CHECK_2017) == DavisCounts(sequences=2, frames=6)
    assert not (target / "JPEGImages/1080p").exists()
    assert not leftovers(target)


def test_a_relative_source_is_found_from_an_experiment_in_another_folder(
    tmp_path: Path, target: Path, make_davis: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "elsewhere").mkdir()
    make_davis(tmp_path / "beside")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    download("../beside", DAVIS[2017], target, CHECK_2017)
    assert target.exists()


def test_a_lost_connection_to_a_mirror(host, cache: Path, target: Path, archive: Path) -> None:
    host.files[f"/mirror/{NAME_2017}"] = archive.read_bytes()
    host.cuts = [500]
    download(f"{host.url}/mirror/", DAVIS[2017], target, CHECK_2017)
    assert host.requested_ranges() == [None, "bytes=500-"]
    assert not [file for file in cache.rglob("*") if file.is_file() and file.suffix != ".lock"]


def test_a_stage_that_failed_resumes_its_download(host, target: Path, archive: Path) -> None:
    host.files[f"/{NAME_2017}"] = archive.read_bytes()
    host.cuts = [700] + [0] * MAX_FAILURES
    with pytest.raises(UserError, match="run again to resume"):
        download(host.url, DAVIS[2017], target, CHECK_2017)
    assert not target.exists()
    assert not leftovers(target)
    host.cuts.clear()
    download(host.url, DAVIS[2017], target, CHECK_2017)
    assert host.requested_ranges()[-1] == "bytes=700-"


def test_coco_from_a_mirror_of_three_archives(
    host, tmp_path: Path, target: Path, make_coco: Callable[[Path], Path]
) -> None:
    source = make_coco(tmp_path / "made")
    for part, name in (("train2017",) * 2, ("val2017",) * 2, ("annotations", "annotations_trainval2017")):
        packed = pack(source / part, tmp_path / f"{name}.zip", f"{part}/")
        host.files[f"/{name}.zip"] = packed.read_bytes()
    download(host.url, COCO, target, check_coco)
    assert manifest(target) == manifest(source)


def official(layout: Layout, file: RemoteFile) -> Layout:
    return Layout(layout.name, layout.marker, layout.patterns, (file,))


def test_official_files_must_have_the_checksum_in_the_code(host, target: Path, archive: Path) -> None:
    host.files[f"/{NAME_2017}"] = archive.read_bytes()
    changed = RemoteFile(f"{host.url}/{NAME_2017}", archive.stat().st_size, "0" * 64)
    for source in ("official", host.url):  # a mirror, too, once the length says that it serves the official file
        with pytest.raises(UserError, match="wrong checksum"):
            download(source, official(DAVIS[2017], changed), target, CHECK_2017)
    longer = RemoteFile(f"{host.url}/{NAME_2017}", 10, "0" * 64)
    with pytest.raises(UserError, match="the official file has 10"):
        download("official", official(DAVIS[2017], longer), target, CHECK_2017)
    assert not target.exists()


def test_a_corrupt_archive_is_fetched_again_by_the_next_run(host, target: Path, archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[content.rindex(b"\xff\xd8\xff") + 20] ^= 1  # inside the last frame: the archive's own checksum notices
    host.files[f"/{NAME_2017}"] = bytes(content)
    with pytest.raises(UserError, match="corrupt archive") as caught:
        download(host.url, DAVIS[2017], target, CHECK_2017)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    assert not leftovers(target)
    host.files[f"/{NAME_2017}"] = archive.read_bytes()
    download(host.url, DAVIS[2017], target, CHECK_2017)
    assert target.exists()


def test_a_full_disk_keeps_the_download(host, target: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files[f"/{NAME_2017}"] = archive.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("partprop.download.trees.require_space", _full)
        with pytest.raises(DiskFullError):
            download(host.url, DAVIS[2017], target, CHECK_2017)
    download(host.url, DAVIS[2017], target, CHECK_2017)
    assert len(host.requests) == 1


def _full(folder: Path, size: int) -> None:
    raise DiskFullError(f"{folder}: the disk is full")


@pytest.mark.parametrize(
    "damage",
    [
        "truncated frame",
        "mask of another size",
        "frame of another size",
        "no split",
        "no first mask",
        "two masks",
        "in both splits",
    ],
)
def test_a_broken_data_set_keeps_the_old_one_and_names_the_source(
    tmp_path: Path, target: Path, make_davis: Callable[[Path], Path], damage: str
) -> None:
    source = make_davis(tmp_path / "made/DAVIS")
    frame, mask = source / "JPEGImages/480p/cows/00001.jpg", source / "Annotations/480p/cows/00001.png"
    culprit = frame
    if damage == "truncated frame":
        frame.write_bytes(frame.read_bytes()[:-20])
    elif damage == "mask of another size":
        Image.new("L", (9, 9)).save(mask)
        culprit = mask
    elif damage == "frame of another size":
        Image.new("RGB", (9, 9)).save(frame)
        mask.unlink()
    elif damage == "no first mask":
        culprit = frame.with_name("00000.jpg")
        mask.with_name("00000.png").unlink()
    elif damage == "two masks":
        culprit = frame.parent
        mask.unlink()
    elif damage == "in both splits":
        culprit = source
        split = source / "ImageSets/2017/val.txt"
        split.write_text(split.read_text() + (split.with_name("train.txt")).read_text())
    else:
        culprit = source / "ImageSets/2017/val.txt"
        culprit.unlink()
    target.mkdir(parents=True)
    (target / "old").touch()
    with pytest.raises(UserError) as caught:
        download(str(tmp_path / "made"), DAVIS[2017], target, CHECK_2017)
    assert str(caught.value).startswith(f"{culprit}: ")
    assert (target / "old").exists()
    assert not leftovers(target)


@pytest.mark.parametrize("name", ["absent", "notes.txt", "ftp://host/davis"])
def test_sources_that_do_not_exist(tmp_path: Path, target: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    for use in (lambda: download(name, DAVIS[2017], target, CHECK_2017), lambda: source_manifest(name, DAVIS[2017])):
        with pytest.raises(UserError, match="archive") as caught:
            use()
        assert "\n" not in str(caught.value)
    assert not target.exists()


def test_a_changed_source_changes_its_manifest(tmp_path: Path, make_davis: Callable[[Path], Path]) -> None:
    source = make_davis(tmp_path / "made/DAVIS")
    before = source_manifest(str(tmp_path / "made"), DAVIS[2017])
    shutil.copytree(tmp_path / "made", tmp_path / "moved")
    (source / "notes.txt").write_text("not part of the data set")
    assert (
        before
        == source_manifest(str(tmp_path / "made"), DAVIS[2017])
        == source_manifest(str(tmp_path / "moved"), DAVIS[2017])
    )
    frame = source / "JPEGImages/480p/bear/00000.jpg"
    os.utime(frame, (0, 0))
    touched = source_manifest(str(tmp_path / "made"), DAVIS[2017])
    frame.unlink()
    assert len({before, touched, source_manifest(str(tmp_path / "made"), DAVIS[2017])}) == 3


def test_the_manifest_of_an_archive_depends_on_its_date(archive: Path) -> None:
    before = source_manifest(str(archive), DAVIS[2017])
    os.utime(archive, (0, 0))
    assert before != source_manifest(str(archive), DAVIS[2017])


@pytest.mark.parametrize("source", ["synthetic", "official", "http://host/davis", "https://host"])
def test_remote_sources_have_no_manifest(source: str) -> None:
    assert source_manifest(source, DAVIS[2017]) == ""


def test_the_manifest_depends_on_contents_and_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_text("12")
    (tmp_path / "two").write_text("345")
    before = manifest(tmp_path)
    assert (before.files, before.bytes) == (2, 5)
    (tmp_path / "two").write_text("346")
    changed = manifest(tmp_path)
    (tmp_path / "two").rename(tmp_path / "three")
    assert len({before.sha256, changed.sha256, manifest(tmp_path).sha256}) == 3


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("PARTPROP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches/partprop"
    (tmp_path / "file").touch()
    monkeypatch.setenv("PARTPROP_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(UserError, match="PARTPROP_CACHE"):
        cache_folder()
