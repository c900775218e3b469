"""Files and folders are written atomically; leftovers of a killed process are removed."""

import errno
from pathlib import Path

import pytest

from partprop.base.errors import DiskFullError, UserError
from partprop.base.files import atomic_folder, atomic_write, read_csv, write_csv, write_json


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.csv") as temporary:
        temporary.write_text("1")
        assert not (tmp_path / "a.csv").exists()
    assert (tmp_path / "a.csv").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"not for JSON": {1, 2}})
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path / "a.json"):
        tmp_path.read_text()
    assert (tmp_path / "a.json").read_text() == '{\n  "old": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_names_the_target_file(tmp_path: Path) -> None:
    def fill(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))

    with (
        pytest.raises(DiskFullError, match=r"/a\.png: the disk is full"),
        atomic_write(tmp_path / "a.png") as temporary,
    ):
        fill(temporary)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_path_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.json").mkdir()
    for path in (tmp_path / "file" / "a.json", tmp_path / "folder.json", tmp_path / f"{'long' * 63}.json"):
        with pytest.raises(UserError, match=rf"{path.name}: .+; write to another path"):
            write_json(path, {})
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.json"}


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("name", "share"), [("a,b", 0.1 + 0.2), ('"', 1 / 3)])
    with read_csv(tmp_path / "a.csv", ("name", "share"), "make it again") as table:
        assert [(row["name"], float(row["share"])) for row in table] == [("a,b", 0.1 + 0.2), ('"', 1 / 3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name\n1\n", r"expected the columns name,share \('share'\)"),
        ("name,share\n1\n", "expected the columns name,share"),
        ("name,share\n1,half\n", "half"),
        (f"name,share\n1,{'1' * 200_000}\n", "field larger than"),
        ("name,share\n1,\x00\n", "expected the columns"),
        (None, "cannot be read"),
    ],
)
def test_an_invalid_table_is_named_on_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.csv").write_text(content)
    with (
        pytest.raises(UserError, match=rf"a\.csv: [^\n]*{message}[^\n]*; make it again$"),
        read_csv(tmp_path / "a.csv", ("name", "share"), "make it again") as table,
    ):
        [float(row["share"]) for row in table]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "out") as temporary:
            (temporary / name).write_text(name)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    for name in ("out", "a.csv"):
        with atomic_folder(tmp_path / name) if name == "out" else atomic_write(tmp_path / name) as temporary:
            left = temporary
        left.mkdir()
        (left / "half").write_text("half")
    with atomic_folder(tmp_path / "out"), atomic_write(tmp_path / "a.csv"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]
    assert not list((tmp_path / "out").iterdir())


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("")
    (tmp_path / "b.txt").write_text("")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode
