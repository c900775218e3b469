"""The stage validate scores the held-out videos, all frames, with the section segmentation."""

import json
from pathlib import Path

import pytest
import torch

from partprop.base import paths
from partprop.data.video import open_davis
from partprop.model.backbone.weights import save_weights
from partprop.model.building import build_network
from partprop.params import Params
from partprop.stages import validate
from partprop.tracking.settings import Settings
from partprop.tracking.validation import validate as segment_and_score


def test_validate_scores_all_frames_of_the_held_out_videos(tiny_params: Params, tiny_checkout: Path, recorder):
    torch.manual_seed(0)
    network = build_network(**tiny_params.model.model_dump())
    save_weights(network, paths.TRACKER)
    validate.run(tiny_params, recorder)
    scores = json.loads((validate.REPORT / "metrics.json").read_text())
    held_out = [video for video in open_davis(paths.DAVIS, "train", 2016) if video.name == "train-00"]
    expected = segment_and_score(network, Settings(**tiny_params.segmentation.model_dump()), held_out, None)
    assert scores == expected.scores
    assert list(scores) == ["J&F", "J", "F", "success_auc", "precision_20px", "J&F last third", "J&F train-00"]
    assert recorder.logged["J&F"] == [(None, scores["J&F"])]
    assert json.loads((validate.REPORT / "speed.json").read_text())["seconds_per_frame"] > 0


def test_objects_of_held_out_categories_are_measured_on_seeded_clips(
    tiny_params: Params, tiny_checkout: Path, recorder, monkeypatch: pytest.MonkeyPatch
):
    held_out = tiny_params.train_tracking.model_copy(update={"held_out_categories": ["star", "walker"]})
    params = tiny_params.model_copy(update={"train_tracking": held_out})
    monkeypatch.setattr(validate, "CLIPS", 2)
    monkeypatch.setattr(validate, "SIDE", 96)
    torch.manual_seed(0)
    save_weights(build_network(**params.model.model_dump()), paths.TRACKER)
    measured = []
    for _ in range(2):
        validate.run(params, recorder)
        measured.append(json.loads((validate.REPORT / "metrics.json").read_text())["J held-out categories"])
    assert measured[0] == measured[1]
    assert 0 <= measured[0] <= 1
