"""The stage `infer`: it deletes the results of shards that have left the list."""

from pathlib import Path

import pytest

from partprop.stages.infer import delete_former_shards


def test_results_of_unlisted_shards_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    delete_former_shards([0])
    for name in ("0", "1", "2", "notes", ".1-part"):
        (tmp_path / "results/davis" / name / "boat").mkdir(parents=True)
    delete_former_shards([0, 1])
    assert {folder.name for folder in (tmp_path / "results/davis").iterdir()} == {"0", "1", "notes", ".1-part"}
