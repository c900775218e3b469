"""Training stages: a resumed training equals an uninterrupted one, and held-out videos are never trained on."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import mlflow.pytorch
import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from safetensors.torch import load_file

from fake_cuda import CUDA, fake_cuda, needs_fake_cuda
from partprop.base import paths
from partprop.data.video import Video
from partprop.model.network import Network
from partprop.params import Params
from partprop.pipeline.logged_model import log_model
from partprop.stages import backbone, pretrain_fpn, train_tracking
from partprop.tracking.settings import Settings
from partprop.tracking.validation import Validation
from partprop.training.common import seeding
from partprop.training.common.checkpoint import Checkpoint
from partprop.training.tracker.sampling import VideoClips
from tiny_training import first_losses, with_steps


class KilledError(Exception):
    """Stands for a kill during training."""


def kill_at(recorder, step: int):
    """Return a log that interrupts the training when it logs this step."""

    class Log(type(recorder)):
        def metrics(self, values: Mapping[str, float], step_now: int | None = None, **named: int) -> None:
            if named.get("step", step_now) == step:
                raise KilledError

    return Log()


@pytest.mark.parametrize(
    ("stage", "weights"), [(pretrain_fpn.run, paths.FPN), (train_tracking.run, paths.TRACKER)], ids=["fpn", "tracking"]
)
def test_a_resumed_training_ends_like_an_uninterrupted_one(
    stage: Callable, weights: Path, tiny_params: Params, tiny_checkout: Path, recorder
):
    backbone.run(tiny_params, recorder)
    if stage is train_tracking.run:
        pretrain_fpn.run(tiny_params, recorder)
    stage(tiny_params, recorder)
    written = [weights, *sorted(paths.REPORTS.glob(f"{stage.__module__.rsplit('.')[-1]}/*.csv"))]
    uninterrupted = [file.read_bytes() for file in written]
    assert len(written) >= 2
    weights.unlink()
    with pytest.raises(KilledError):
        stage(tiny_params, kill_at(recorder, 3))
    assert not weights.exists()
    assert list((tiny_checkout / "cache").rglob("last.pt"))
    stage(tiny_params, recorder)
    assert [file.read_bytes() for file in written] == uninterrupted
    assert not list((tiny_checkout / "cache").rglob("last.pt"))


class FakeCudaAccelerator(CPUAccelerator):
    """Lets Fabric accept a device that does not exist."""

    def setup_device(self, device: torch.device) -> None:
        pass


class FakeCudaFabric(Fabric):
    """On the fake GPU, which autograd's threads do not have: gradients are zero."""

    def __init__(self, accelerator: str, devices: str) -> None:
        super().__init__(strategy=SingleDeviceStrategy(CUDA, FakeCudaAccelerator()))

    def setup(self, module: torch.nn.Module, *optimizers: torch.optim.Optimizer) -> tuple:
        self.trained = module
        return super().setup(module, *optimizers)

    def backward(self, loss: torch.Tensor) -> None:
        assert loss.device == CUDA
        for weights in self.trained.parameters():
            weights.grad = torch.zeros_like(weights)


@needs_fake_cuda
@pytest.mark.parametrize("stage", [pretrain_fpn, train_tracking], ids=["fpn", "tracking"])
def test_on_a_gpu_no_tensor_stays_on_the_processor_and_the_logged_network_leaves_the_gpu(
    stage: ModuleType, tiny_params: Params, tiny_checkout: Path, recorder, monkeypatch: pytest.MonkeyPatch
):
    params, devices = with_steps(tiny_params, 1), []
    backbone.run(params, recorder)
    if stage is train_tracking:
        pretrain_fpn.run(params, recorder)
    monkeypatch.setattr(seeding, "Fabric", FakeCudaFabric)
    monkeypatch.setattr(Checkpoint, "save", lambda self, state: None)  # fake tensors have no storage
    monkeypatch.setattr(
        mlflow.pytorch, "log_model", lambda module, **_: devices.extend(each.device for each in module.parameters())
    )
    monkeypatch.setattr(recorder, "model", log_model)
    with fake_cuda():
        stage.run(params, recorder)
    assert all(np.isfinite(loss) for loss in first_losses(stage.REPORT).values())
    assert {device.type for device in devices} == {"cpu"}


def test_without_steps_nothing_is_pretrained_and_measured(tiny_params: Params, tiny_checkout: Path, recorder):
    params = with_steps(tiny_params, 0)
    backbone.run(params, recorder)
    pretrain_fpn.run(params, recorder)
    written, given = load_file(paths.FPN), load_file(paths.BACKBONE)
    assert all(
        torch.equal(written[f"pyramid.backbone.{name}"], given[name])
        for name in given
        if f"pyramid.backbone.{name}" in written
    )
    assert any(f"pyramid.backbone.{name}" in written for name in given)
    assert json.loads((pretrain_fpn.REPORT / "metrics.json").read_text()) == {}


@pytest.mark.parametrize(("key", "trained"), [("batch", "projections."), ("pairs", "pyramid.fpn.")])
def test_one_task_of_pretraining_is_enough(key: str, trained: str, tiny_params: Params, tiny_checkout: Path, recorder):
    section = tiny_params.pretrain_fpn.model_copy(update={key: 0})
    params = tiny_params.model_copy(update={"pretrain_fpn": section})
    backbone.run(params, recorder)
    pretrain_fpn.run(params, recorder)
    learnt = load_file(paths.FPN)
    pretrain_fpn.run(with_steps(params, 0), recorder)
    before = load_file(paths.FPN)
    changed = {name for name in learnt if not torch.equal(learnt[name], before[name])}
    other = {"projections.": "pyramid.fpn.", "pyramid.fpn.": "projections."}[trained]
    assert any(name.startswith(trained) for name in changed)
    assert not any(name.startswith(other) for name in changed)
    assert ("loss_mask" in recorder.logged) == (key == "pairs")
    assert ("match" in recorder.logged) == (key == "batch")


class ValidationStub:
    """Takes the place of `validate`: returns the given scores in turn and records its arguments."""

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores = iter(scores)
        self.weights: list[dict[str, torch.Tensor]] = []
        self.names: set[str] = set()
        self.settings: set[Settings] = set()
        self.frames: list[int | None] = []

    def __call__(self, network: Network, settings: Settings, videos: list, frames: int | None) -> Validation:
        self.weights.append({name: value.clone() for name, value in network.state_dict().items()})
        self.names |= {video.name for video in videos}
        self.settings.add(settings)
        self.frames.append(frames)
        return Validation({"J&F": next(self.scores)}, 0.1)


def test_the_averaged_weights_of_the_last_step_are_saved_whichever_validate_best(
    tiny_params: Params, tiny_checkout: Path, recorder, monkeypatch: pytest.MonkeyPatch
):
    other = tiny_params.segmentation.model_copy(update={"parts": 7})
    params = tiny_params.model_copy(update={"segmentation": other})
    backbone.run(params, recorder)
    pretrain_fpn.run(params, recorder)
    stub, trained_on = ValidationStub((0.6, 0.4)), set[str]()
    monkeypatch.setattr(train_tracking, "validate", stub)

    def clips_of(videos: list[Video], *others) -> VideoClips:
        trained_on.update(video.name for video in videos)
        return VideoClips(videos, *others)

    monkeypatch.setattr(train_tracking, "VideoClips", clips_of)
    with pytest.raises(KilledError):
        train_tracking.run(params, kill_at(recorder, 3))
    train_tracking.run(params, recorder)

    assert (stub.names, trained_on) == ({"train-00"}, {"train-01", "train-02"})
    assert stub.frames == [3, 3]
    assert stub.settings == {Settings(**tiny_params.train_tracking.validate_settings.model_dump())}
    written, (better, last) = load_file(paths.TRACKER), stub.weights
    assert all(torch.equal(written[name], last[name]) for name in written)
    assert not all(torch.equal(written[name], better[name]) for name in written)
    table = (train_tracking.REPORT / "validation.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in table[1:]] == [["2", "0.6"], ["4", "0.4"]]


def test_a_training_with_other_parameters_does_not_resume(tiny_params: Params, tiny_checkout: Path, recorder):
    backbone.run(tiny_params, recorder)
    with pytest.raises(KilledError):
        pretrain_fpn.run(tiny_params, kill_at(recorder, 3))
    other = tiny_params.model_copy(update={"seed": tiny_params.seed + 1})
    pretrain_fpn.run(other, recorder)
    assert [step for step, _ in recorder.logged["loss_mask"]] == [1, 2, 3, 4]
