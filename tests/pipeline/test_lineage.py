"""The inputs of a stage that is about to run, while another stage is being recorded in dvc.lock."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from dvc.lock import make_lock

from partprop.pipeline.lineage import planned_entry


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text("stages: {copy: {cmd: cp a b, deps: [a], outs: [b]}}", encoding="utf-8")
    (tmp_path / "a").write_text("1", encoding="utf-8")
    ours = Path(__file__).resolve().parents[2] / ".dvc"
    shutil.copytree(ours, tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_planning_waits_while_dvc_lock_is_being_written(checkout: Path) -> None:
    expected = planned_entry("copy")
    assert expected["deps"][0]["path"] == "a"
    (checkout / "dvc.lock").write_text("stages:\n", encoding="utf-8")  # half-written: DVC would call it invalid
    lock = make_lock(str(checkout / ".dvc/tmp/lock"))
    lock.lock()

    def finish() -> None:
        (checkout / "dvc.lock").unlink()
        lock.unlock()

    writer = threading.Timer(0.3, finish)
    writer.start()
    assert planned_entry("copy") == expected
    writer.join()


def test_outside_a_repository_there_is_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert planned_entry("copy") == {}
