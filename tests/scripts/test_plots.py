"""The plots of dvc.yaml and the check that the files of a run have their columns.

`tests/stages/test_evaluate.py` and `tests/end_to_end` apply the check to files that the stages write.
"""

import runpy
from pathlib import Path

import pytest

from partprop.base.files import write_csv
from plot_columns import ROOT, columns_by_file, missing_columns, plots

COLUMNS = columns_by_file()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with all files that the plots need."""
    for file, columns in COLUMNS.items():
        write_csv(tmp_path / file, list(dict.fromkeys(columns)), [[0.5] * len(set(columns))] * 3)
    return tmp_path


def test_a_complete_run_has_all_columns(run: Path) -> None:
    assert missing_columns(run, COLUMNS) == []


@pytest.mark.parametrize("file", COLUMNS)
def test_a_renamed_or_empty_column_is_found(run: Path, file: str) -> None:
    name = COLUMNS[file][-1]
    content = (run / file).read_text(encoding="utf-8")
    header, *rows = content.splitlines()
    assert header.endswith(name)
    (run / file).write_text("\n".join([f"{header}_renamed", *rows]) + "\n", encoding="utf-8")
    assert missing_columns(run, COLUMNS) == [f"{file}: {name}"]
    (run / file).write_text("\n".join([header, *(row.removesuffix("0.5") for row in rows)]) + "\n", encoding="utf-8")
    assert missing_columns(run, COLUMNS) == [f"{file}: {name}"]


def test_the_script_draws_every_plot_of_dvc_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert runpy.run_path(str(ROOT / "scripts/plots.py"))["names"]() == list(plots())
