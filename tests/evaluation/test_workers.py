"""Scores of folders of predictions, in one or several processes."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from label_maps import labelled_video, squares, write_label_maps
from partprop.base.errors import UserError
from partprop.evaluation.workers import score_folder, score_folders, sigint_blocked
from partprop.metrics.summary import summarise


def test_first_and_last_frame_need_no_prediction(tmp_path: Path) -> None:
    truth = squares((5, 5))
    video = labelled_video(tmp_path / "one", [truth] * 4)
    write_label_maps(tmp_path / "results", [truth] * 3)
    (tmp_path / "results" / "00000.png").unlink()
    assert summarise([score_folder(video, tmp_path / "results")])["J&F"] == 1


def test_boxes_come_from_tracks_csv_where_there_is_one(tmp_path: Path) -> None:
    truth = squares((5, 5))
    video = labelled_video(tmp_path / "one", [truth] * 4)
    results = tmp_path / "results"
    write_label_maps(results, [truth] * 4)
    (results / "tracks.csv").write_text("frame,object,part,x1,y1,x2,y2,score\n00001,1,0,5,5,15,10,1\n")
    scores = score_folder(video, results)
    np.testing.assert_array_equal(scores.overlaps, [[0.5, 0]])  # lost in the second frame that counts
    np.testing.assert_array_equal(scores.centre_errors, [[2.5, np.inf]])
    np.testing.assert_array_equal(scores.j, [[1, 1]])


def test_missing_predictions_are_empty_on_request(tmp_path: Path) -> None:
    truth = squares((5, 5))
    video = labelled_video(tmp_path / "one", [truth] * 4)
    write_label_maps(tmp_path / "results", [truth] * 2)
    scores = score_folder(video, tmp_path / "results", missing="empty")
    np.testing.assert_array_equal(scores.j, [[1, 0]])
    np.testing.assert_array_equal(scores.centre_errors, [[0, np.inf]])


def test_scores_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    pairs = []
    for name in ("a", "b", "c"):
        maps = [squares((5, 5)), squares((6, 7)), squares((8, 9)), squares((10, 11))]
        write_label_maps(tmp_path / "results" / name, [squares((5, 5 + len(pairs)))] * 4)
        pairs.append((labelled_video(tmp_path / name, maps), tmp_path / "results" / name))
    assert summarise(score_folders(pairs, jobs=2)) == summarise(score_folders(pairs, jobs=1))


def test_several_processes_share_a_long_sequence(tmp_path: Path) -> None:
    video = labelled_video(tmp_path / "long", [squares((index, 5)) for index in range(40)])
    write_label_maps(tmp_path / "results", [squares((max(0, index - 3), 5)) for index in range(40)])
    alone, shared = (score_folders([(video, tmp_path / "results")], jobs=jobs)[0] for jobs in (1, 3))
    assert shared.frames == alone.frames == tuple(f"{index:05d}" for index in range(1, 39))
    np.testing.assert_array_equal(shared.j, alone.j)
    assert alone.j[0, 10] == pytest.approx(7 / 13)


def test_an_error_in_a_worker_reaches_the_caller(tmp_path: Path) -> None:
    video = labelled_video(tmp_path / "one", [squares((5, 5))] * 3)
    with pytest.raises(UserError, match=r"absent/00001\.png: no such prediction"):
        score_folders([(video, tmp_path / "absent")] * 2, jobs=2)


def test_workers_ignore_ctrl_c() -> None:
    is_blocked = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    printed = []
    for block in (sigint_blocked(), nullcontext()):
        with block:
            done = subprocess.run([sys.executable, "-c", is_blocked], capture_output=True, text=True, check=True)
        printed.append(done.stdout)
    assert printed == ["True\n", "False\n"]
