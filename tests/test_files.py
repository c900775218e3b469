"""Files and folders appear complete or not at all, and what a killed process left is cleared."""

from pathlib import Path

import pytest

from partprop.files import replacing, replacing_folder, write_json


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.csv") as temporary:
        temporary.write_text("1")
        assert not (tmp_path / "a.csv").exists()
    assert (tmp_path / "a.csv").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"not for JSON": {1, 2}})
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "a.json"):
        tmp_path.read_text()
    assert (tmp_path / "a.json").read_text() == '{\n  "old": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with replacing_folder(tmp_path / "out") as temporary:
            (temporary / name).write_text(name)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_leavings_of_a_killed_process_are_cleared(tmp_path: Path) -> None:
    for name in ("out", "a.csv"):
        with replacing_folder(tmp_path / name) if name == "out" else replacing(tmp_path / name) as temporary:
            left = temporary
        left.mkdir()
        (left / "half").write_text("half")
    with replacing_folder(tmp_path / "out"), replacing(tmp_path / "a.csv"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]
    assert not list((tmp_path / "out").iterdir())


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("")
    (tmp_path / "b.txt").write_text("")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode
