"""The stage `baselines` on a tiny video, with random backbone weights."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from partprop.base import paths
from partprop.base.errors import UserError
from partprop.data.labels import read_labels, write_labels
from partprop.model.backbone.imagenet import build_backbone
from partprop.model.backbone.weights import save_weights
from partprop.stages import baselines, evaluate

PARAMS = SimpleNamespace(
    data=SimpleNamespace(davis=SimpleNamespace(year=2017)),
    model=SimpleNamespace(backbone="lite0"),
    baselines=SimpleNamespace(
        short_side=64, context_frames=1, radius=2, neighbours=3, temperature=0.07, threads=torch.get_num_threads()
    ),
)
FRAMES = ("00000", "00002", "00004")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One video without motion; the object of its first mask touches a void pixel."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, size=(64, 96, 3), dtype=np.uint8)
    labels = np.zeros((64, 96), dtype=np.uint8)
    labels[16:48, 32:64] = 1
    labels[0, 0] = 255
    frames = paths.DAVIS / "JPEGImages" / "480p" / "bear"
    frames.mkdir(parents=True)
    for frame in FRAMES:
        Image.fromarray(pixels).save(frames / f"{frame}.jpg")
        write_labels(paths.DAVIS / "Annotations" / "480p" / "bear" / f"{frame}.png", labels)
    split = paths.DAVIS / "ImageSets" / "2017" / "val.txt"
    split.parent.mkdir(parents=True)
    split.write_text("bear\n")
    torch.manual_seed(0)
    save_weights(build_backbone("lite0"), paths.BACKBONE)
    return tmp_path


def test_every_baseline_writes_every_frame(repository: Path, recorder: Any) -> None:
    baselines.run(PARAMS, recorder)
    assert sorted(folder.name for folder in paths.BASELINES.iterdir()) == sorted(evaluate.BASELINES)
    for name in evaluate.BASELINES:
        folder = paths.BASELINES / name / "bear"
        assert sorted(file.name for file in folder.iterdir()) == [f"{frame}.png" for frame in FRAMES]
        for file in folder.iterdir():
            labels = read_labels(file)
            assert labels.shape == (64, 96)
            assert set(np.unique(labels)) <= {0, 1}, "void of the first mask is background"
    np.testing.assert_array_equal(read_labels(paths.BASELINES / "flow/bear/00004.png")[16:48, 32:64], 1)


def test_a_first_frame_without_mask_is_an_error(repository: Path, recorder: Any) -> None:
    (paths.DAVIS / "Annotations" / "480p" / "bear" / "00000.png").unlink()
    with pytest.raises(UserError, match=r"bear/00000\.jpg: the first frame has no mask"):
        baselines.run(PARAMS, recorder)
    assert not (paths.BASELINES / "first_mask" / "bear").exists()
