"""Files of data sets in folders and archives."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partprop.base.disk import os_errors_as_user_errors
from partprop.base.errors import UserError
from partprop.download.layouts import COCO, DAVIS
from partprop.download.trees import Tree, archive_tree, folder_tree


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def pack(folder: Path, archive: Path, prefix: str = "") -> Path:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in files_of(folder).items():
                opened.writestr(prefix + name, content)
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix in (".gz", ".tgz") else "w") as opened:
            opened.add(folder, prefix or ".")
    return archive


def copied(tree: Tree, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    tree.copy(DAVIS[2016], folder)
    return files_of(folder)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
@pytest.mark.parametrize("prefix", ["", "DAVIS/", "download/DAVIS-2016/"])
def test_the_files_of_a_layout_in_archives(
    tmp_path: Path, make_davis: Callable[[Path], Path], suffix: str, prefix: str
) -> None:
    source = make_davis(tmp_path / "source")
    archive = pack(source, tmp_path / f"archive{suffix}", prefix)
    expected = {name: content for name, content in files_of(source).items() if "1080p" not in name}
    with archive_tree(archive) as tree:
        assert copied(tree, tmp_path / "target") == expected


@pytest.mark.parametrize("above", ["", "DAVIS", "sets/DAVIS"])
def test_the_files_of_a_layout_in_folders(tmp_path: Path, make_davis: Callable[[Path], Path], above: str) -> None:
    source = make_davis(tmp_path / "source" / above)
    (source / "JPEGImages/480p/bear/._00000.jpg").write_bytes(b"")
    (source / "README.md").write_text("more")
    (tmp_path / "linked").symlink_to(tmp_path / "source")
    expected = {name for name in files_of(source) if not any(part in name for part in ("1080p", "._", "README"))}
    assert set(copied(folder_tree(tmp_path / "linked", DAVIS[2016]), tmp_path / "target")) == expected
    assert not any(file.is_symlink() for file in (tmp_path / "target").rglob("*"))


def test_a_data_set_in_several_archives(tmp_path: Path, make_coco: Callable[[Path], Path]) -> None:
    source = make_coco(tmp_path / "source")
    archives = [
        pack(source / part, tmp_path / f"{part}.zip", f"{part}/") for part in ("train2017", "val2017", "annotations")
    ]
    (tmp_path / "target").mkdir()
    with archive_tree(*archives) as tree:
        tree.copy(COCO, tmp_path / "target")
    assert files_of(tmp_path / "target") == files_of(source)


def test_no_data_set_and_two_data_sets(tmp_path: Path, make_davis: Callable[[Path], Path]) -> None:
    with pytest.raises(UserError, match=r"holds no DAVIS 2016 \(no folder JPEGImages\)"):
        copied(folder_tree(tmp_path, DAVIS[2016]), tmp_path / "none")
    make_davis(tmp_path / "both/a")
    make_davis(tmp_path / "both/b")
    with pytest.raises(UserError, match=r"several data sets \(a, b\)"):
        copied(folder_tree(tmp_path / "both", DAVIS[2016]), tmp_path / "two")


EVIL = ["../evil", "DAVIS/../../evil", "/evil", "C:\\evil", "..\\evil", "\\\\host\\share\\evil"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_members_outside_the_target_folder_are_refused(tmp_path: Path, name: str, suffix: str) -> None:
    archive = tmp_path / f"archive{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr(name, "evil")
    else:
        with tarfile.open(archive, "w") as opened:
            opened.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(UserError, match="refused") as caught, archive_tree(archive):
        pass
    assert str(archive) in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("JPEGImages")
    info.type, info.linkname = kind, "/etc"
    with tarfile.open(tmp_path / "archive.tar", "w") as opened:
        opened.addfile(info)
    with pytest.raises(UserError, match="refused, its member JPEGImages"), archive_tree(tmp_path / "archive.tar"):
        pass


def test_links_in_zips_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("JPEGImages")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as opened:
        opened.writestr(info, "/etc")
    with pytest.raises(UserError, match="refused, its member JPEGImages"), archive_tree(tmp_path / "archive.zip"):
        pass


def test_a_disk_too_small_for_the_copy(tmp_path: Path, make_davis: Callable[[Path], Path], monkeypatch) -> None:
    tree = folder_tree(make_davis(tmp_path / "source"), DAVIS[2016])
    monkeypatch.setattr("partprop.base.disk.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(UserError, match="make room"):
        copied(tree, tmp_path / "target")


SHARE = st.floats(0, 1, exclude_max=True)


@settings(max_examples=100, deadline=None)
@given(
    suffix=st.sampled_from([".zip", ".tar", ".tgz"]),
    changes=st.lists(st.tuples(SHARE, st.integers(0, 255)), max_size=4),
    kept=st.just(1) | SHARE,
)
def test_damaged_archives_raise_only_user_errors(
    tmp_path_factory, suffix: str, changes: list[tuple[float, int]], kept: float
) -> None:
    root = tmp_path_factory.mktemp("damaged")
    source, target = root / "source/JPEGImages/clip", root / "target"
    source.mkdir(parents=True)
    target.mkdir()
    (source / "00000.jpg").write_bytes(np.random.default_rng(0).bytes(200))
    archive = pack(root / "source", root / f"archive{suffix}")
    content = bytearray(archive.read_bytes())
    for place, value in changes:
        content[int(place * len(content))] = value
    archive.write_bytes(content[: int(kept * len(content))])
    outcome = "copied"
    try:
        with os_errors_as_user_errors(target), archive_tree(archive) as tree:
            tree.copy(DAVIS[2016], target)
    except UserError as error:
        outcome = str(error)
    assert outcome == "copied" or (str(root) in outcome and "\n" not in outcome)
    assert sorted(root.iterdir()) == sorted([archive, root / "source", target])
