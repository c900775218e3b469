"""Results on an accelerator (CUDA, or Apple's MPS) against those of the processor; skipped where PyTorch finds none."""

from functools import partial
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from partprop import pretrained
from partprop.base import paths
from partprop.params import Params
from partprop.pretrained import Segmenter
from partprop.stages import backbone, pretrain_fpn, train_tracking
from partprop.tracking.result import Result
from partprop.training.common import seeding
from tiny import write_tiny_weights
from tiny_training import first_losses, with_steps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.accelerator.is_available(), reason="PyTorch finds no accelerator"),
]
FRAMES = 10


def moving_squares(time: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame, uint8 (96, 128, 3), with two textured squares on another texture, and their object ids."""
    coarse = np.random.default_rng(0).integers(0, 255, (3, 12, 16, 3)).astype(np.uint8)
    ground, *textures = (cv2.resize(each, (128, 96), interpolation=cv2.INTER_CUBIC) for each in coarse)
    labels = np.zeros((96, 128), np.uint8)
    labels[20 + time : 52 + time, 16 + 2 * time : 48 + 2 * time] = 1
    labels[40:72, 80 - time : 112 - time] = 2
    for number, texture in enumerate(textures, start=1):
        ground[labels == number] = texture[labels == number]
    return ground, labels


def segment(weights: Path, device: str) -> list[Result]:
    """Segment FRAMES frames from the first frame's masks."""
    segmenter = Segmenter(weights, device)
    first = segmenter.start(*moving_squares(0))
    return [first, *(segmenter.step(moving_squares(time)[0]) for time in range(1, FRAMES))]


@pytest.mark.parametrize(("half", "tolerance"), [(None, 3e-3), (torch.float16, 0.02)])
def test_segmentation_matches_the_processor(
    half: torch.dtype | None, tolerance: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pretrained, "half_precision", lambda _: half)
    weights = write_tiny_weights(tmp_path / "tiny.safetensors")
    expected, results = segment(weights, "cpu"), segment(weights, str(torch.accelerator.current_accelerator()))
    for one, other in zip(expected, results, strict=True):
        assert np.mean(one.labels != other.labels) < 0.001
        for object_id, probability in one.probabilities.items():
            np.testing.assert_allclose(other.probabilities[object_id], probability, atol=tolerance)


@pytest.mark.parametrize(
    ("stage", "weights"), [(pretrain_fpn, paths.FPN), (train_tracking, paths.TRACKER)], ids=["fpn", "tracking"]
)
def test_a_training_step_matches_the_processor(
    stage: ModuleType,
    weights: Path,
    tiny_params: Params,
    tiny_checkout: Path,
    recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params, losses = with_steps(tiny_params, 1), []
    monkeypatch.setattr(seeding, "Fabric", partial(one_device_fabric, "cpu"))
    backbone.run(params, recorder)
    pretrain_fpn.run(params, recorder)
    for accelerator in ("cpu", "auto"):
        monkeypatch.setattr(seeding, "Fabric", partial(one_device_fabric, accelerator))
        weights.unlink(missing_ok=True)
        stage.run(params, recorder)
        losses.append(first_losses(stage.REPORT))
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
    assert weights.exists()


def one_device_fabric(kind: str, **_: str) -> Fabric:
    return Fabric(accelerator=kind, devices=1)
