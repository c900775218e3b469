"""Two results beside each other: the difference, where it is, and what is written."""

import json
from pathlib import Path

import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.evaluation.comparison import compare_folders
from partprop.evaluation.folders import evaluate_folders
from partprop.report.comparison_files import write_comparison

VIDEOS = ("bear", "boat", "camel")


def write_video(folder: Path, shifts: tuple[int, ...] = (0, 0, 0, 0)) -> None:
    for index, shift in enumerate(shifts):
        labels = np.zeros((30, 50), dtype=np.uint8)
        labels[5:15, 5 + shift : 15 + shift] = 1
        write_labels(folder / f"{index:05d}.png", labels)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in VIDEOS:
        write_video(tmp_path / "truth" / name)
        write_video(tmp_path / "worse" / name, (0, 3, 5, 0))
        write_video(tmp_path / "better" / name, (0, 3, 0 if name == "boat" else 5, 0))
    return tmp_path


def test_the_difference_and_its_place(root: Path) -> None:
    comparison = compare_folders(root / "worse", root / "better", root / "truth")
    by_folder = [evaluate_folders(root / name, root / "truth")["J&F"] for name in ("worse", "better")]
    assert comparison.first.mean == pytest.approx(by_folder[0])
    assert comparison.second.mean == pytest.approx(by_folder[1])
    assert comparison.gain.mean == pytest.approx(by_folder[1] - by_folder[0])
    assert comparison.gain.low == 0 < comparison.gain.high  # two of three videos are equal
    assert [(frame.sequence.name, frame.frame) for frame in comparison.frames] == [("boat", "00002")]
    first, second = comparison.sequences["boat"]
    assert second > first


def test_frames_before_any_object_appears_do_not_count(root: Path) -> None:
    for kind, shift in (("truth", 0), ("worse", 3), ("better", 1)):  # it appears in 2 and is followed in 3
        write_video(root / kind / "boat", (0, 0, 0, shift, 0))
        for number in range(2):
            write_labels(root / kind / "boat" / f"{number:05d}.png", np.zeros((30, 50), dtype=np.uint8))
    comparison = compare_folders(root / "worse", root / "better", root / "truth")
    assert [(frame.sequence.name, frame.frame) for frame in comparison.frames] == [("boat", "00003")]
    assert comparison.frames[0].gain == pytest.approx(comparison.sequences["boat"][1] - comparison.sequences["boat"][0])


def test_swapped_results_swap_the_sign(root: Path) -> None:
    forth = compare_folders(root / "worse", root / "better", root / "truth").gain
    back = compare_folders(root / "better", root / "worse", root / "truth").gain
    assert (back.mean, back.low, back.high) == pytest.approx((-forth.mean, -forth.high, -forth.low))


def test_what_is_written(root: Path) -> None:
    comparison = compare_folders(root / "worse", root / "better", root / "truth")
    write_comparison(comparison, ("worse", "better"), root / "out")
    written = json.loads((root / "out" / "compare.json").read_text())
    assert written["gain"]["mean"] == comparison.gain.mean
    assert set(written["sequences"]) == set(VIDEOS)
    assert (root / "out" / "sequences.svg").read_text().count("bear") == 1
    assert (root / "out" / "frames.png").stat().st_size > 1000


@pytest.mark.parametrize("name", ["r$^$", "s\udcff"])
def test_names_that_are_no_formulas_and_in_no_encoding(root: Path, name: str) -> None:
    for kind in ("truth", "worse", "better"):
        (root / kind / "boat").rename(root / kind / name)
    comparison = compare_folders(root / "worse", root / "better", root / "truth")
    write_comparison(comparison, (name, "better"), root / "out")
    assert set(json.loads((root / "out" / "compare.json").read_text())["sequences"]) == {"bear", "camel", name}
    assert (root / "out" / "frames.png").stat().st_size > 1000


def test_equal_results_differ_nowhere(root: Path) -> None:
    comparison = compare_folders(root / "worse", root / "worse", root / "truth")
    assert (comparison.gain.mean, comparison.gain.low, comparison.gain.high) == (0, 0, 0)
    (root / "out").mkdir()
    (root / "out" / "frames.png").write_text("of other results")
    write_comparison(comparison, ("a", "b"), root / "out")
    assert not (root / "out" / "frames.png").exists()


def test_a_sequence_that_one_lacks(root: Path) -> None:
    (root / "more" / "bear").mkdir(parents=True)
    write_video(root / "more" / "bear")
    with pytest.raises(UserError, match=r"more: lacks boat, camel, which the other results have"):
        compare_folders(root / "worse", root / "more", root / "truth")
