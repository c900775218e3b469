"""The curves that dvc.yaml names are of columns that the stages write."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLOTS = {
    name: plot
    for each in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    for name, plot in each.items()
}


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_finds_its_columns_in_the_committed_reports(name: str) -> None:
    for file, columns in PLOTS[name]["y"].items():
        table = pd.read_csv(ROOT / file)
        assert {PLOTS[name]["x"], *columns} <= set(table.columns)
        assert table[[PLOTS[name]["x"], *columns]].notna().all(axis=None)
