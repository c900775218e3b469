"""The columns that the plots of dvc.yaml need."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]


def plots() -> dict[str, Mapping[str, Any]]:
    """The plots listed at the top level of dvc.yaml, by name."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    return {name: plot for entry in pipeline["plots"] for name, plot in entry.items()}


def columns_by_file(below: str = "reports") -> dict[str, list[str]]:
    """The columns that plots need of each file in a folder of the repository."""
    columns: dict[str, list[str]] = {}
    for plot in plots().values():
        for file, names in plot["y"].items():
            if Path(file).is_relative_to(below):
                columns.setdefault(file, []).extend([plot["x"], *names])
    return columns


def missing_columns(root: Path, columns: Mapping[str, Iterable[str]]) -> list[str]:
    """List `file: column` for each column that is absent from its file below `root` or has no values."""
    tables = {file: pd.read_csv(root / file) for file in columns}
    return [
        f"{file}: {name}"
        for file, names in columns.items()
        for name in names
        if name not in tables[file].columns or tables[file][name].isna().any() or tables[file].empty
    ]
