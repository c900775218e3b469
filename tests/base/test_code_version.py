"""The commit of a checkout, and whether its code differs from it."""

import subprocess

import pytest

from partprop.base.code_version import code_version


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/code.py").write_text("a = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    return tmp_path


def test_only_changed_code_counts_as_modified(checkout):
    version = code_version()
    assert len(version.commit) == 40
    assert not version.modified
    (checkout / "metrics.json").write_text("{}")
    assert not code_version().modified
    (checkout / "src/new.py").write_text("b = 2\n")
    assert code_version().modified


def test_a_folder_without_git_has_no_version(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert code_version() is None
