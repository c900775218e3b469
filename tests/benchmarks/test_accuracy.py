"""benchmarks/accuracy.py: the row that it appends to the table of validation runs."""

import csv
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from partprop.evaluation.davis_val import DAVIS_VAL
from partprop.evaluation.validation_runs import TABLE
from partprop.tracking.validation import Validation

ROOT = Path(__file__).resolve().parents[2]
SCORES = {"J&F": 0.75, "J": 0.7, "F": 0.8, "success_auc": 0.6, "precision_20px": 0.9, "J&F cows": 0.75}


@pytest.fixture
def accuracy(mini_params: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module in a checkout of its own, with a trained network whose scores are SCORES."""
    monkeypatch.delenv("CI", raising=False)
    Path("dvc.yaml").touch()
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "benchmarks/accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_load", lambda *_: (None, None))
    monkeypatch.setattr(module, "validate", lambda *_: Validation(SCORES, 0.5))
    monkeypatch.setattr(module, "use_threads", lambda count: None)
    return module


def run(accuracy: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *arguments])
    accuracy.main()


@pytest.mark.parametrize(
    ("options", "preset", "seed"),
    [([], "mini", "1"), (["--shipped"], "shipped weights", "")],
    ids=["trained", "shipped"],
)
def test_a_run_on_the_validation_split_is_recorded(
    accuracy: ModuleType,
    make_davis: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    preset: str,
    seed: str,
) -> None:
    make_davis(Path("davis"))
    arguments = ["davis", "--split", "val", "--year", "2017", *options]
    run(accuracy, monkeypatch, *arguments)
    assert not TABLE.exists()  # not the videos of DAVIS
    monkeypatch.setitem(DAVIS_VAL, 2017, frozenset({"cows"}))
    run(accuracy, monkeypatch, *arguments)
    with TABLE.open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    assert [(row["preset"], row["seed"]) for row in rows] == [(preset, seed)]
    assert [float(rows[0][name]) for name in ("J&F", "J", "F", "low", "high")] == [0.75, 0.7, 0.8, 0.75, 0.75]
    assert rows[0]["command"] == " ".join(["benchmarks/accuracy.py", *arguments])
