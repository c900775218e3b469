"""Held-out videos: split off from the training videos, and refused where they cannot be scored."""

from dataclasses import replace
from pathlib import Path

import pytest

from partprop.base import paths
from partprop.base.errors import UserError
from partprop.data.video import open_davis
from partprop.tracking.validation import require_annotated, split_held_out


def test_held_out_videos_are_split_off(tiny_checkout: Path):
    training, held_out = split_held_out(open_davis(paths.DAVIS, "train", 2016), ["train-01"])
    assert [video.name for video in held_out] == ["train-01"]
    assert [video.name for video in training] == ["train-00", "train-02"]


def test_videos_with_too_few_annotated_first_frames_are_refused(tiny_checkout: Path):
    held_out = open_davis(paths.DAVIS, "train", 2016)[:1]
    require_annotated(held_out, 3)
    sparse = [replace(held_out[0], masks=(held_out[0].masks[0], None, *held_out[0].masks[2:]))]
    with pytest.raises(UserError, match=r"validate_frames: train-00 has 2 annotated masks .* needs 3"):
        require_annotated(sparse, 3)


def test_unknown_names_and_holding_out_all_videos_are_refused(tiny_checkout: Path):
    videos = open_davis(paths.DAVIS, "train", 2016)
    with pytest.raises(UserError, match=r"train_tracking\.held_out: nobody not in the training split"):
        split_held_out(videos, ["nobody"])
    with pytest.raises(UserError, match="leave some to train on"):
        split_held_out(videos, [video.name for video in videos])
