"""Scores of sequences and their summary: what counts, what is refused, and that means are those of DAVIS."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.data.video import Video
from partprop.evaluation.workers import interrupts_held, score_folder, score_folders
from partprop.metrics.sequences import score_sequence
from partprop.metrics.summary import box_curves, over_the_video, summarise

SHAPE = (40, 60)


def squares(*places: tuple[int, int], side: int = 10, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Label map with object n at the n-th place (x, y)."""
    labels = np.zeros(shape, dtype=np.uint8)
    for number, (x, y) in enumerate(places, start=1):
        labels[y : y + side, x : x + side] = number
    return labels


def write_maps(folder: Path, maps: Sequence[np.ndarray]) -> list[Path]:
    files = [folder / f"{index:05d}.png" for index in range(len(maps))]
    for file, labels in zip(files, maps, strict=True):
        write_labels(file, labels)
    return files


def video(folder: Path, maps: Sequence[np.ndarray], single_object: bool = False) -> Video:
    masks = tuple(write_maps(folder, maps))
    return Video(folder.name, tuple(mask.stem for mask in masks), masks, masks, single_object)


def test_means_of_two_objects(tmp_path: Path) -> None:
    truth = squares((5, 5), (30, 20))
    sequence = video(tmp_path / "two", [truth] * 4)
    write_maps(tmp_path / "results", [truth, squares((10, 5), (30, 20)), squares((5, 5), (50, 0)), truth])
    scores = score_folder(sequence, tmp_path / "results")
    assert scores.objects == (1, 2)
    assert scores.frames == ("00001", "00002")
    np.testing.assert_allclose(scores.j, [[1 / 3, 1], [1, 0]])
    np.testing.assert_allclose(scores.overlaps, [[1 / 3, 1], [1, 0]])
    np.testing.assert_allclose(scores.centre_errors, [[5, 0], [0, np.hypot(20, 20)]])

    metrics = summarise([scores])
    assert metrics["J"]["mean"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics["J"]["recall"] == pytest.approx(1 / 2)
    assert metrics["J&F"] == pytest.approx((metrics["J"]["mean"] + metrics["F"]["mean"]) / 2)
    assert metrics["boxes"]["precision_20px"] == pytest.approx((1 + 1 / 2) / 2)
    block = metrics["sequences"]["two"]
    assert block["objects"]["1"]["J"] == pytest.approx(2 / 3)
    assert block["J&F"] == pytest.approx((block["J"] + block["F"]) / 2)


def test_means_are_over_objects_not_sequences(tmp_path: Path) -> None:
    one, two = squares((5, 5)), squares((5, 5), (30, 20))
    lost = np.zeros(SHAPE, np.uint8)
    scores = [
        score_sequence(video(tmp_path / "one", [one] * 3), lambda frame: lost),
        score_sequence(video(tmp_path / "two", [two] * 3), lambda frame: two),
    ]
    metrics = summarise(scores)
    assert metrics["J"]["mean"] == pytest.approx(2 / 3)
    # of two videos the bootstrap draws the first twice, both, or the second twice
    assert metrics["J&F_interval"] == {"low": pytest.approx(0), "high": pytest.approx(1)}


def test_first_and_last_frame_do_not_count_and_need_no_prediction(tmp_path: Path) -> None:
    truth = squares((5, 5))
    sequence = video(tmp_path / "one", [truth] * 4)
    write_maps(tmp_path / "results", [truth] * 3)
    (tmp_path / "results" / "00000.png").unlink()
    assert summarise([score_folder(sequence, tmp_path / "results")])["J&F"] == 1


def test_object_that_vanishes(tmp_path: Path) -> None:
    shown, gone = squares((5, 5)), np.zeros(SHAPE, np.uint8)
    sequence = video(tmp_path / "one", [shown, shown, gone, gone, shown])
    predictions = {"00001": shown, "00002": gone, "00003": shown}
    scores = score_sequence(sequence, predictions.__getitem__)
    np.testing.assert_array_equal(scores.j, [[1, 1, 0]])
    np.testing.assert_array_equal(scores.f, [[1, 1, 0]])
    np.testing.assert_array_equal(scores.overlaps, [[1, np.nan, np.nan]])
    success, precision = box_curves([scores])
    assert success.mean() == pytest.approx(20 / 21)
    assert precision[0] == 1


def test_boxes_come_from_tracks_where_there_are_some(tmp_path: Path) -> None:
    truth = squares((5, 5))
    sequence = video(tmp_path / "one", [truth] * 4)
    results = tmp_path / "results"
    write_maps(results, [truth] * 4)
    (results / "tracks.csv").write_text("frame,object,part,x1,y1,x2,y2,score\n00001,1,0,5,5,15,10,1\n")
    scores = score_folder(sequence, results)
    np.testing.assert_array_equal(scores.overlaps, [[0.5, 0]])  # lost in the second frame that counts
    np.testing.assert_array_equal(scores.centre_errors, [[2.5, np.inf]])
    np.testing.assert_array_equal(scores.j, [[1, 1]])


def test_swapping_ids_in_both_swaps_the_scores(tmp_path: Path) -> None:
    truth, prediction = squares((5, 5), (30, 20)), squares((7, 5), (30, 25))
    swap = np.array([0, 2, 1], dtype=np.uint8)
    scores = score_sequence(video(tmp_path / "plain", [truth] * 3), lambda frame: prediction)
    swapped = score_sequence(video(tmp_path / "swapped", [swap[truth]] * 3), lambda frame: swap[prediction])
    np.testing.assert_array_equal(scores.j, swapped.j[::-1])
    np.testing.assert_array_equal(scores.f, swapped.f[::-1])


def test_void_is_left_out(tmp_path: Path) -> None:
    truth = squares((5, 5))
    truth[5:15, 15:25] = 255
    prediction = squares((5, 5))
    prediction[5:15, 15:25] = 1
    scores = score_sequence(video(tmp_path / "one", [truth] * 3), lambda frame: prediction)
    np.testing.assert_array_equal([scores.j, scores.f], [[[1]], [[1]]])


def test_year_2016_takes_all_predicted_objects_as_one(tmp_path: Path) -> None:
    both = squares((5, 5), (30, 20))
    scores = score_sequence(video(tmp_path / "one", [both] * 3, single_object=True), lambda frame: both)
    assert scores.objects == (1,)
    np.testing.assert_array_equal(scores.j, [[1]])


def test_frames_without_annotation_do_not_count(tmp_path: Path) -> None:
    truth = squares((5, 5))
    sequence = video(tmp_path / "one", [truth] * 5)
    sparse = Video(
        "one", sequence.frame_names, sequence.frames, (*sequence.masks[:2], None, *sequence.masks[3:]), False
    )
    assert score_sequence(sparse, lambda frame: truth).frames == ("00001", "00003")


def test_scores_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    pairs = []
    for name in ("a", "b", "c"):
        sequence = video(tmp_path / name, [squares((5, 5)), squares((6, 7)), squares((8, 9)), squares((10, 11))])
        write_maps(tmp_path / "results" / name, [squares((5, 5 + len(pairs)))] * 4)
        pairs.append((sequence, tmp_path / "results" / name))
    assert summarise(score_folders(pairs, jobs=2)) == summarise(score_folders(pairs, jobs=1))


def test_an_error_in_a_process_arrives(tmp_path: Path) -> None:
    sequence = video(tmp_path / "one", [squares((5, 5))] * 3)
    with pytest.raises(UserError, match=r"absent/00001\.png: no such prediction"):
        score_folders([(sequence, tmp_path / "absent")] * 2, jobs=2)


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (squares((5, 5), shape=(20, 60)), r"results/00001\.png: 60x20 pixels where the annotation has 60x40"),
        (squares((5, 5), (30, 20)), r"results/00001\.png: holds the object 2, .* only 1"),
    ],
)
def test_predictions_that_do_not_fit(tmp_path: Path, prediction: np.ndarray, message: str) -> None:
    sequence = video(tmp_path / "one", [squares((5, 5))] * 3)
    write_maps(tmp_path / "results", [prediction] * 3)
    with pytest.raises(UserError, match=message):
        score_folder(sequence, tmp_path / "results")


def test_too_few_annotated_frames(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="short: has 2 annotated frames; the protocol needs three"):
        score_sequence(video(tmp_path / "short", [squares((5, 5))] * 2), lambda frame: squares((5, 5)))


def test_nothing_to_measure_boxes_on(tmp_path: Path) -> None:
    gone = np.zeros(SHAPE, np.uint8)
    scores = score_sequence(video(tmp_path / "one", [squares((5, 5)), gone, gone]), lambda frame: gone)
    with pytest.raises(UserError, match="no object is shown after the first frame"):
        summarise([scores])


def test_an_object_counts_from_the_frame_after_its_mask_was_given(tmp_path: Path) -> None:
    early, both = squares((5, 5)), squares((5, 5), (30, 20))
    sequence = video(tmp_path / "late", [early, early, both, both, both, both])
    scores = score_sequence(sequence, lambda frame: squares((5, 5), (35, 20)))
    assert scores.objects == (1, 2)
    np.testing.assert_allclose(scores.j, [[1, 1, 1, 1], [np.nan, np.nan, 1 / 3, 1 / 3]])
    metrics = summarise([scores])
    assert metrics["J"]["mean"] == pytest.approx(2 / 3)
    assert metrics["sequences"]["late"]["objects"]["2"]["J"] == pytest.approx(1 / 3)
    assert metrics["sequences"]["late"]["J"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("given", [3, 4])
def test_an_object_whose_mask_is_given_too_late_does_not_count(tmp_path: Path, given: int) -> None:
    early, both = squares((5, 5)), squares((5, 5), (30, 20))
    maps = [both if index >= given else early for index in range(5)]
    assert score_sequence(video(tmp_path / "late", maps), lambda frame: both).objects == (1,)


def test_missing_predictions_are_empty_on_request(tmp_path: Path) -> None:
    truth = squares((5, 5))
    sequence = video(tmp_path / "one", [truth] * 4)
    write_maps(tmp_path / "results", [truth] * 2)
    scores = score_folder(sequence, tmp_path / "results", missing="empty")
    np.testing.assert_array_equal(scores.j, [[1, 0]])
    np.testing.assert_array_equal(scores.centre_errors, [[0, np.inf]])


def test_a_long_sequence_is_scored_by_several_processes(tmp_path: Path) -> None:
    maps = [squares((index, 5)) for index in range(40)]
    sequence = video(tmp_path / "long", maps)
    write_maps(tmp_path / "results", [squares((max(0, index - 3), 5)) for index in range(40)])
    alone, shared = (score_folders([(sequence, tmp_path / "results")], jobs=jobs)[0] for jobs in (1, 3))
    assert shared.frames == alone.frames == tuple(f"{index:05d}" for index in range(1, 39))
    np.testing.assert_array_equal(shared.j, alone.j)
    assert alone.j[0, 10] == pytest.approx(7 / 13)


def test_scores_over_the_course_of_videos_of_different_length(tmp_path: Path) -> None:
    truth = squares((5, 5))
    lost = np.zeros(SHAPE, np.uint8)
    short = score_sequence(video(tmp_path / "short", [truth] * 4), {"00001": truth, "00002": lost}.__getitem__)
    long = score_sequence(video(tmp_path / "long", [truth] * 12), lambda frame: truth)
    j, f = over_the_video([short, long])
    assert (j[0], j[25], j[50]) == pytest.approx((1, 0.75, 0.5))
    np.testing.assert_allclose(f, j)


def test_processes_that_score_leave_ctrl_c_to_their_owner() -> None:
    asking = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    said = []
    for block in (interrupts_held(), nullcontext()):
        with block:
            said.append(subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, check=True))
    assert [done.stdout for done in said] == ["True\n", "False\n"]
