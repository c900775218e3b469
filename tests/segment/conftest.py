"""A request on a small video with an untrained network."""

from pathlib import Path

import numpy as np
import pytest

from partprop.data.labels import write_labels
from partprop.segment.prompts import Prompt
from partprop.segment.request import Request
from tiny import write_tiny_weights
from videos import SIZE


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    labels = np.zeros(SIZE, np.uint8)
    labels[10:30, 20:45] = 2
    write_labels(tmp_path / "first.png", labels)
    return tmp_path / "first.png"


@pytest.fixture
def make_request(tmp_path: Path, weights: Path, mask: Path, write_video):
    def make(**changes) -> Request:
        video = changes.pop("video", None) or write_video("clip.mp4", frames=8, sound=True)
        prompts = changes.pop("prompts", [Prompt(None, mask=mask)])
        return Request(video, tmp_path / "out", prompts, weights=weights, device="cpu", **changes)

    return make
