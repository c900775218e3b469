"""Folders of results and annotations: accepted layouts, and refused contents."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.evaluation.folders import evaluate_folders, find_results, require_exactly


def write_video(folder: Path, shift: int = 0, frames: int = 4) -> None:
    for index in range(frames):
        labels = np.zeros((30, 50), dtype=np.uint8)
        labels[5:15, 5 + shift : 15 + shift] = 1
        write_labels(folder / f"{index:05d}.png", labels)


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    for name in ("bear", "boat", "camel"):
        write_video(tmp_path / "annotations" / name)
    return tmp_path / "annotations"


@pytest.mark.parametrize("layout", ["", "480p", "Annotations", "Annotations/480p"])
def test_layouts_of_annotations(tmp_path: Path, layout: str) -> None:
    write_video(tmp_path / "truth" / layout / "bear")
    write_video(tmp_path / "results" / "bear", shift=5)
    metrics = evaluate_folders(tmp_path / "results", tmp_path / "truth")
    assert metrics["J"]["mean"] == pytest.approx(1 / 3)


def test_results_in_shards_are_found_and_files_written(tmp_path: Path, annotations: Path) -> None:
    write_video(tmp_path / "results" / "0" / "bear")
    write_video(tmp_path / "results" / "1" / "boat", shift=5)
    json_file, csv_file = tmp_path / "out" / "metrics.json", tmp_path / "out" / "objects.csv"
    metrics = evaluate_folders(tmp_path / "results", annotations, json_file=json_file, csv_file=csv_file)
    assert list(metrics["sequences"]) == ["bear", "boat"]
    assert json.loads(json_file.read_text()) == metrics
    with csv_file.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["sequence"], row["object"]) for row in rows] == [("bear", "1"), ("boat", "1")]
    assert float(rows[1]["J"]) == metrics["sequences"]["boat"]["J"]


def test_a_file_of_names_selects_sequences(tmp_path: Path, annotations: Path) -> None:
    for name in ("bear", "boat", "unknown"):
        write_video(tmp_path / "results" / name)
    names = tmp_path / "names.txt"
    names.write_text("boat\n\nbear\nboat\n")
    assert list(evaluate_folders(tmp_path / "results", annotations, names)["sequences"]) == ["boat", "bear"]
    names.write_text("boat\ncamel\n")
    with pytest.raises(UserError, match=r"results: lacks camel, listed in .*names\.txt"):
        evaluate_folders(tmp_path / "results", annotations, names)
    names.write_text("\n")
    with pytest.raises(UserError, match=r"names\.txt: lists no sequences"):
        evaluate_folders(tmp_path / "results", annotations, names)
    with pytest.raises(UserError, match=r"absent\.txt: cannot be read"):
        evaluate_folders(tmp_path / "results", annotations, tmp_path / "absent.txt")


def test_unknown_sequences_are_refused(tmp_path: Path, annotations: Path) -> None:
    write_video(tmp_path / "results" / "unknown")
    with pytest.raises(UserError, match="annotations: has no sequence in common with the results"):
        evaluate_folders(tmp_path / "results", annotations)
    write_video(tmp_path / "results" / "bear")
    with pytest.raises(UserError, match="annotations: lacks unknown"):
        evaluate_folders(tmp_path / "results", annotations)


def test_missing_and_empty_folders(tmp_path: Path, annotations: Path) -> None:
    with pytest.raises(UserError, match="absent: no such folder"):
        evaluate_folders(tmp_path / "absent", annotations)
    (tmp_path / "empty" / "bear").mkdir(parents=True)
    with pytest.raises(UserError, match="empty: has no sequences"):
        evaluate_folders(tmp_path / "empty", annotations)
    write_video(tmp_path / "results" / "bear")
    with pytest.raises(UserError, match="absent: no such folder"):
        evaluate_folders(tmp_path / "results", tmp_path / "absent")


def test_a_failed_evaluation_writes_nothing(tmp_path: Path, annotations: Path) -> None:
    write_video(tmp_path / "results" / "bear", frames=2)
    with pytest.raises(UserError, match=r"bear/00002\.png: no such prediction"):
        evaluate_folders(tmp_path / "results", annotations, json_file=tmp_path / "out" / "metrics.json")
    assert not (tmp_path / "out").exists()


def test_a_sequence_in_two_shards_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "0" / "bear")
    write_video(tmp_path / "1" / "bear")
    with pytest.raises(UserError, match=r"1/bear: the same sequence as .*0/bear"):
        find_results(tmp_path)


def test_missing_and_extra_sequences_are_refused() -> None:
    found = {"bear": Path("results/0/bear"), "boat": Path("results/1/boat")}
    require_exactly(found, ["boat", "bear"], Path("results"))
    with pytest.raises(UserError, match="results: lacks camel of the split"):
        require_exactly(found, ["bear", "boat", "camel"], Path("results"))
    with pytest.raises(UserError, match="results: has boat, not in the split; delete results/1/boat"):
        require_exactly(found, ["bear"], Path("results"))


def test_a_missing_named_sequence_is_empty_on_request(tmp_path: Path, annotations: Path) -> None:
    write_video(tmp_path / "results" / "bear")
    names = tmp_path / "names.txt"
    names.write_text("bear\ncamel\n")
    metrics = evaluate_folders(tmp_path / "results", annotations, names, missing="empty")
    assert {name: block["J&F"] for name, block in metrics["sequences"].items()} == {"bear": 1, "camel": 0}
