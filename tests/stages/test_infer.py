"""What earlier shards left when there are fewer now."""

from pathlib import Path

import pytest

from partprop.stages.infer import drop_former_shards


def test_results_of_shards_that_are_no_more_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    drop_former_shards([0])
    for name in ("0", "1", "2", "notes", ".1-part"):
        (tmp_path / "results/davis" / name / "boat").mkdir(parents=True)
    drop_former_shards([0, 1])
    assert {folder.name for folder in (tmp_path / "results/davis").iterdir()} == {"0", "1", "notes", ".1-part"}
