"""The files of a comparison: numbers and pictures."""

import json
from pathlib import Path

import pytest

from compared_results import VIDEOS, write_compared_results
from partprop.evaluation.comparison import compare_folders
from partprop.report.comparison_files import write_comparison


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_compared_results(tmp_path)


def test_numbers_and_pictures_are_written(root: Path) -> None:
    comparison = compare_folders(root / "worse", root / "better", root / "truth")
    write_comparison(comparison, ("worse", "better"), root / "out")
    written = json.loads((root / "out" / "compare.json").read_text())
    assert written["gain"]["mean"] == comparison.gain.mean
    assert set(written["sequences"]) == set(VIDEOS)
    assert (root / "out" / "sequences.svg").read_text().count("bear") == 1
    assert (root / "out" / "frames.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["r$^$", "s\udcff"])
def test_names_with_dollars_or_undecodable_bytes_are_drawn(root: Path, name: str) -> None:
    for kind in ("truth", "worse", "better"):
        (root / kind / "boat").rename(root / kind / name)
    comparison = compare_folders(root / "worse", root / "better", root / "truth")
    write_comparison(comparison, (name, "better"), root / "out")
    assert set(json.loads((root / "out" / "compare.json").read_text())["sequences"]) == {"bear", "camel", name}
    assert (root / "out" / "frames.png").stat().st_size > 1000


def test_equal_results_leave_no_picture_of_earlier_ones(root: Path) -> None:
    comparison = compare_folders(root / "worse", root / "worse", root / "truth")
    (root / "out").mkdir()
    (root / "out" / "frames.png").write_text("an earlier comparison")
    write_comparison(comparison, ("a", "b"), root / "out")
    assert not (root / "out" / "frames.png").exists()
