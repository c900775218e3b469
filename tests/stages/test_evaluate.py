"""The stage `evaluate` on hand-made results of every method."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.evaluation import validation_runs
from partprop.evaluation.davis_val import DAVIS_VAL
from partprop.evaluation.vot.protocol import SupervisedRun, write_supervised
from partprop.params import Params
from partprop.pipeline.declared import DeclaredParams, read_declaration
from partprop.stages import evaluate
from plot_columns import columns_by_file, missing_columns

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("ours", "first_mask", "flow", "label_propagation")


def parameters(source: str = "synthetic") -> Any:
    """Those of the mini preset on DAVIS 2017, as the stage receives them."""
    content = yaml.safe_load((ROOT / "presets/mini.yaml").read_text(encoding="utf-8"))
    content["data"]["davis"] |= {"source": source, "year": 2017}
    keys = read_declaration("evaluate", ROOT / "dvc.yaml").keys
    return DeclaredParams(Params.model_validate(content), "evaluate", keys)


def label_map(shift: int) -> np.ndarray:
    labels = np.zeros((30, 50), dtype=np.uint8)
    labels[5:15, 5 + shift : 15 + shift] = 1
    labels[18:28, 30:40] = 2
    return labels


def write_results(folder: Path, shift: int) -> None:
    for index in range(4):
        write_labels(folder / f"{index:05d}.png", label_map(shift))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two validation videos of two objects; our masks are right in `bear`, off by 5 of 10 pixels in `boat`."""
    for name in ("bear", "boat"):
        write_results(tmp_path / "data/davis/Annotations/480p" / name, shift=0)
        frames = tmp_path / "data/davis/JPEGImages/480p" / name
        frames.mkdir(parents=True)
        for index in range(4):
            Image.new("RGB", (50, 30)).save(frames / f"{index:05d}.jpg")
        for method in evaluate.BASELINES:
            write_results(tmp_path / "results/baselines" / method / name, shift=10)
    write_results(tmp_path / "results/davis/0/bear", shift=0)
    write_results(tmp_path / "results/davis/1/boat", shift=5)
    frames = [f"{index:05d}" for index in range(4)]
    right, failing = (
        SupervisedRun(np.array([np.nan, np.nan, 1, 0.5]), np.array([0, fails, 0, 0], bool)) for fails in (0, 1)
    )
    write_supervised(tmp_path / "results/davis/0/bear/supervised.csv", frames, {1: right, 2: right})
    write_supervised(tmp_path / "results/davis/1/boat/supervised.csv", frames, {1: failing, 2: right})
    split = tmp_path / "data/davis/ImageSets/2017/val.txt"
    split.parent.mkdir(parents=True)
    split.write_text("bear\nboat\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rows(repository: Path) -> Callable[[str], list[dict[str, str]]]:
    def read(file: str) -> list[dict[str, str]]:
        with (repository / "reports" / file).open() as opened:
            return list(csv.DictReader(opened))

    return read


def test_reports(repository: Path, rows: Callable[[str], list[dict[str, str]]], recorder: Any) -> None:
    evaluate.run(parameters(), recorder)

    metrics = json.loads((repository / "reports/metrics.json").read_text())
    assert (metrics["preset"], metrics["dataset"]) == ("mini", "synthetic")
    assert list(metrics["baselines"]) == ["first_mask", "flow", "label_propagation"]
    assert metrics["ours"]["J"]["mean"] == pytest.approx((1 + 1 + 1 / 3 + 1) / 4)
    assert metrics["ours"]["J"]["recall"] == pytest.approx(3 / 4)
    assert metrics["ours"]["sequences"]["boat"]["objects"]["1"]["J"] == pytest.approx(1 / 3)
    assert metrics["baselines"]["flow"]["J"]["mean"] == pytest.approx(1 / 2)
    assert metrics["ours"]["boxes"]["vot_accuracy"] == pytest.approx(0.75)
    assert metrics["ours"]["boxes"]["vot_failures"] == pytest.approx(1 / 4)
    assert "vot_failures" not in metrics["baselines"]["flow"]["boxes"]
    assert recorder.logged["ours/vot_failures"] == [(None, 1 / 4)]
    assert recorder.logged["ours/J&F"] == [(None, metrics["ours"]["J&F"])]
    assert recorder.logged["flow/success_auc"] == [(None, metrics["baselines"]["flow"]["boxes"]["success_auc"])]

    per_sequence = rows("per_sequence.csv")
    assert [row["method"] for row in per_sequence[::4]] == list(METHODS)
    assert [(row["sequence"], row["object"]) for row in per_sequence[:4]] == [
        ("bear", "1"),
        ("bear", "2"),
        ("boat", "1"),
        ("boat", "2"),
    ]
    over_time = rows("plots/j_over_time.csv")
    assert [(row["sequence"], row["frame"]) for row in over_time[:4]] == [
        ("bear", "00001"),
        ("bear", "00002"),
        ("boat", "00001"),
        ("boat", "00002"),
    ]
    assert float(over_time[2]["J"]) == pytest.approx((1 / 3 + 1) / 2)
    success, precision = rows("plots/success.csv"), rows("plots/precision.csv")
    assert (len(success), len(precision)) == (21, 51)
    assert list(success[0]) == list(precision[0]) == ["threshold", *METHODS]
    assert np.mean([float(row["ours"]) for row in success]) == pytest.approx(metrics["ours"]["boxes"]["success_auc"])
    assert (precision[20]["threshold"], float(precision[20]["ours"])) == ("20", 1)
    by_position = rows("plots/j_by_position.csv")
    assert [float(row["position"]) for row in by_position] == pytest.approx(range(0, 101, 2))
    assert [float(row["ours"]) for row in by_position] == pytest.approx([metrics["ours"]["J"]["mean"]] * 51)
    assert [float(row["flow"]) for row in by_position] == pytest.approx([1 / 2] * 51)


def test_metrics_json_lists_every_declared_parameter_and_dvc_shows_none_of_them(
    repository: Path, recorder: Any
) -> None:
    evaluate.run(parameters(), recorder)
    metrics = json.loads((repository / "reports/metrics.json").read_text())
    assert list(metrics) == ["preset", "dataset", "ours", "baselines", "parameters"]
    listed = metrics["parameters"]  # dvc metrics leaves lists out
    assert {"preset=mini", "seed=1", "data.davis.year=2017", "model.learnt_keys=true", "infer.shards=[0,1]"} <= set(
        listed
    )
    assert any(line.startswith("train_tracking.held_out=[train-00,train-01,") for line in listed)
    declared = read_declaration("evaluate", ROOT / "dvc.yaml").keys
    assert sorted(evaluate.RECORDED) == sorted(declared)
    assert {line.partition("=")[0].partition(".")[0] for line in listed} == set(declared)


def test_runs_on_the_validation_sequences_are_recorded(
    repository: Path, recorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "dvc.yaml").touch()
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    evaluate.run(parameters("../davis"), recorder)
    assert not validation_runs.TABLE.exists()  # other sequences
    monkeypatch.setitem(DAVIS_VAL, 2017, frozenset({"bear", "boat"}))
    evaluate.run(parameters("synthetic"), recorder)
    assert not validation_runs.TABLE.exists()
    evaluate.run(parameters("../davis"), recorder)
    with validation_runs.TABLE.open(newline="") as file:
        (row,) = csv.DictReader(file)
    metrics = json.loads((repository / "reports/metrics.json").read_text())
    assert float(row["J&F"]) == pytest.approx(metrics["ours"]["J&F"], abs=5e-5)
    assert float(row["low"]) == pytest.approx(metrics["ours"]["J&F_interval"]["low"], abs=5e-5)
    assert (row["preset"], row["seed"], row["command"]) == ("mini", "1", "partprop stage evaluate")


def test_the_plots_of_dvc_yaml_find_their_columns(repository: Path, recorder: Any) -> None:
    evaluate.run(parameters(), recorder)
    assert missing_columns(repository, columns_by_file("reports/plots")) == []


def test_reports_repeat_bit_for_bit(repository: Path, recorder: Any) -> None:
    contents = []
    for _ in range(2):
        evaluate.run(parameters(), recorder)
        contents.append({file: file.read_bytes() for file in (repository / "reports").rglob("*") if file.is_file()})
    assert len(contents[0]) == 7
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("results/davis/2/boat", "results/davis/2/boat: the same sequence as results/davis/1/boat"),
        ("results/davis/1/camel", "results/davis: has camel, not in the split; delete results/davis/1/camel"),
        ("results/baselines/flow/camel", "results/baselines/flow: has camel, not in the split"),
    ],
)
def test_duplicate_and_extra_sequences_are_refused(repository: Path, written: str, message: str, recorder: Any) -> None:
    write_results(repository / written, shift=0)
    with pytest.raises(UserError, match=message):
        evaluate.run(parameters(), recorder)
    assert not (repository / "reports").exists()


def test_a_missing_sequence_is_refused(repository: Path, recorder: Any) -> None:
    for file in (repository / "results/davis/1/boat").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="results/davis: lacks boat of the split"):
        evaluate.run(parameters(), recorder)


def test_evaluation_loads_no_torch() -> None:
    code = (
        "import sys, partprop.stages.evaluate\n"
        "print([name for name in ('torch', 'torchvision', 'mlflow.pytorch', 'partprop.params') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
