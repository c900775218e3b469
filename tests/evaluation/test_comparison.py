"""The difference between two results, and where it is largest."""

from pathlib import Path

import numpy as np
import pytest

from compared_results import write_compared_results, write_moved_square
from label_maps import SHAPE
from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.evaluation.comparison import compare_folders
from partprop.evaluation.folders import evaluate_folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_compared_results(tmp_path)


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
    for kind, shift in (("truth", 0), ("worse", 3), ("better", 1)):  # it appears in frame 2, predictions count from 3
        write_moved_square(root / kind / "boat", (0, 0, 0, shift, 0))
        for number in range(2):
            write_labels(root / kind / "boat" / f"{number:05d}.png", np.zeros(SHAPE, dtype=np.uint8))
    comparison = compare_folders(root / "worse", root / "better", root / "truth")
    assert [(frame.sequence.name, frame.frame) for frame in comparison.frames] == [("boat", "00003")]
    assert comparison.frames[0].gain == pytest.approx(comparison.sequences["boat"][1] - comparison.sequences["boat"][0])


def test_swapped_results_swap_the_sign(root: Path) -> None:
    forth = compare_folders(root / "worse", root / "better", root / "truth").gain
    back = compare_folders(root / "better", root / "worse", root / "truth").gain
    assert (back.mean, back.low, back.high) == pytest.approx((-forth.mean, -forth.high, -forth.low))


def test_equal_results_differ_in_no_frame(root: Path) -> None:
    comparison = compare_folders(root / "worse", root / "worse", root / "truth")
    assert (comparison.gain.mean, comparison.gain.low, comparison.gain.high) == (0, 0, 0)
    assert comparison.frames == []


def test_a_sequence_missing_from_one_of_the_results_is_refused(root: Path) -> None:
    write_moved_square(root / "more" / "bear")
    with pytest.raises(UserError, match=r"more: lacks boat, camel, which the other results have"):
        compare_folders(root / "worse", root / "more", root / "truth")
