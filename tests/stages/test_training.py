"""Training stages: resuming ends where an unbroken training ends, and names that are wrong are one line."""

import csv
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import mlflow.pytorch
import pytest
import torch
import yaml
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from safetensors.torch import load_file

from imitation import CUDA, imitable, imitated_cuda
from partprop.base import paths
from partprop.base.errors import UserError
from partprop.data.video import Sequence as Video
from partprop.data.video import open_davis
from partprop.model.backbone.weights import save_weights
from partprop.model.building import build_network
from partprop.model.network import Network
from partprop.params import Params
from partprop.pipeline.logged_model import log_model
from partprop.stages import backbone, pretrain_fpn, train_tracking, validate
from partprop.synthetic import write_coco, write_davis
from partprop.tracking.settings import Settings
from partprop.tracking.validation import Validation, require_annotated, split_held_out
from partprop.tracking.validation import validate as measure
from partprop.training.tracker.sampling import VideoClips

ROOT = Path(__file__).resolve().parents[2]


class KilledError(Exception):
    """Stands for a kill in the middle of training."""


@pytest.fixture(scope="module")
def parameters() -> Params:
    content = yaml.safe_load((ROOT / "presets/mini.yaml").read_text(encoding="utf-8"))
    content["data"]["synthetic"] |= {
        "width": 96,
        "height": 64,
        "train_images": 4,
        "val_images": 2,
        "train_videos": 3,
        "frames": 8,
    }
    content["model"] |= {
        "fpn_channels": 16,
        "key_channels": 16,
        "value_channels": 8,
        "roi_size": 16,
        "training_roi_size": 16,
    }
    shared = {"steps": 4, "batch": 1, "warmup_steps": 1, "log_every": 1, "checkpoint_every": 2, "threads": 1}
    content["pretrain_fpn"] |= shared | {"image_size": 64}
    content["segmentation"] |= {"short_side": 64, "parts": 1}
    content["train_tracking"] |= shared | {
        "held_out": ["train-00"],
        "crop": 64,
        "max_gap": 3,
        "parts": 1,
        "validate_every": 2,
        "validate_frames": 3,
        "validate_settings": content["segmentation"],
    }
    return Params.model_validate(content)


@pytest.fixture(scope="module")
def prepared(parameters: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_coco(folder / paths.COCO, parameters.data.synthetic)
    write_davis(folder / paths.DAVIS, parameters.data.synthetic, 2016)
    return folder


@pytest.fixture
def checkout(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARTPROP_CACHE", str(tmp_path / "cache"))
    return tmp_path


def kill_at(recorder, step: int):
    """A log that ends the training when the step is logged."""

    class Log(type(recorder)):
        def metrics(self, values: Mapping[str, float], step_now: int | None = None, **named: int) -> None:
            if named.get("step", step_now) == step:
                raise KilledError

    return Log()


@pytest.mark.parametrize(
    ("stage", "weights"), [(pretrain_fpn.run, paths.FPN), (train_tracking.run, paths.TRACKER)], ids=["fpn", "tracking"]
)
def test_a_resumed_training_ends_as_an_unbroken_one(
    stage: Callable, weights: Path, parameters: Params, checkout: Path, recorder
):
    backbone.run(parameters, recorder)
    if stage is train_tracking.run:
        pretrain_fpn.run(parameters, recorder)
    stage(parameters, recorder)
    written = [weights, *sorted(paths.REPORTS.glob(f"{stage.__module__.rsplit('.')[-1]}/*.csv"))]
    unbroken = [file.read_bytes() for file in written]
    assert len(written) >= 2
    weights.unlink()
    with pytest.raises(KilledError):
        stage(parameters, kill_at(recorder, 3))
    assert not weights.exists()
    assert list((checkout / "cache").rglob("last.pt"))
    stage(parameters, recorder)
    assert [file.read_bytes() for file in written] == unbroken
    assert not list((checkout / "cache").rglob("last.pt"))


class ImitatedAccelerator(CPUAccelerator):
    """Lets Fabric have a device that is not there."""

    def setup_device(self, device: torch.device) -> None:
        pass


class ImitatedFabric(Fabric):
    """On the imitated GPU, which autograd's threads do not see: gradients are zero, and no step is taken."""

    def __init__(self, accelerator: str, devices: str) -> None:
        super().__init__(strategy=SingleDeviceStrategy(CUDA, ImitatedAccelerator()))

    def setup(self, module: torch.nn.Module, *optimizers: torch.optim.Optimizer) -> tuple:
        self.trained = module
        return super().setup(module, *optimizers)

    def backward(self, loss: torch.Tensor) -> None:
        assert loss.device == CUDA
        for weights in self.trained.parameters():
            weights.grad = torch.zeros_like(weights)


@imitable
@pytest.mark.parametrize("stage", [pretrain_fpn, train_tracking], ids=["fpn", "tracking"])
def test_on_a_gpu_losses_are_the_same_and_the_logged_network_is_not_bound_to_it(
    stage: ModuleType, parameters: Params, checkout: Path, recorder, monkeypatch: pytest.MonkeyPatch
):
    backbone.run(parameters, recorder)
    if stage is train_tracking:
        pretrain_fpn.run(parameters, recorder)
    stage.run(parameters, recorder)
    here = first_losses(stage.REPORT)

    devices = []
    monkeypatch.setattr(stage, "Fabric", ImitatedFabric)
    monkeypatch.setattr(stage.Checkpoint, "save", lambda self, state: None)  # imitated tensors have no storage
    monkeypatch.setattr(
        mlflow.pytorch, "log_model", lambda module, **_: devices.extend(each.device for each in module.parameters())
    )
    monkeypatch.setattr(recorder, "model", log_model)
    with imitated_cuda():
        stage.run(parameters, recorder)
    assert first_losses(stage.REPORT) == pytest.approx(here, rel=1e-3)
    assert {device.type for device in devices} == {"cpu"}


def first_losses(report: Path) -> dict[str, float]:
    with (report / "curves.csv").open() as file:
        return {name: float(value) for name, value in next(csv.DictReader(file)).items()}


def test_without_steps_nothing_is_pretrained_nor_measured(parameters: Params, checkout: Path, recorder):
    without = parameters.model_copy(update={"pretrain_fpn": parameters.pretrain_fpn.model_copy(update={"steps": 0})})
    backbone.run(without, recorder)
    pretrain_fpn.run(without, recorder)
    written, given = load_file(paths.FPN), load_file(paths.BACKBONE)
    assert all(torch.equal(written[f"backbone.{name}"], given[name]) for name in given if f"backbone.{name}" in written)
    assert any(f"backbone.{name}" in written for name in given)
    assert json.loads((pretrain_fpn.REPORT / "metrics.json").read_text()) == {}


class Validating:
    """Takes the place of `validate`: gives scores by turn, and keeps what it was asked to measure."""

    def __init__(self, scores: Sequence[float]) -> None:
        self.scores, self.weights, self.sequences, self.frames = (
            iter(scores),
            list[dict](),
            set[str](),
            list[int | None](),
        )

    def __call__(self, network: Network, settings: Settings, sequences: list, frames: int | None) -> Validation:
        self.weights.append({name: value.clone() for name, value in network.state_dict().items()})
        self.sequences |= {sequence.name for sequence in sequences}
        self.frames.append(frames)
        return Validation({"J&F": next(self.scores)}, 0.1)


def test_the_averaged_weights_of_the_last_step_are_written_whatever_validates_best(
    parameters: Params, checkout: Path, recorder, monkeypatch: pytest.MonkeyPatch
):
    backbone.run(parameters, recorder)
    pretrain_fpn.run(parameters, recorder)
    validating, shown = Validating((0.6, 0.4)), set[str]()
    monkeypatch.setattr(train_tracking, "validate", validating)

    def clips_of(videos: list[Video], *others) -> VideoClips:
        shown.update(video.name for video in videos)
        return VideoClips(videos, *others)

    monkeypatch.setattr(train_tracking, "VideoClips", clips_of)
    with pytest.raises(KilledError):
        train_tracking.run(parameters, kill_at(recorder, 3))
    train_tracking.run(parameters, recorder)

    assert validating.frames == [3, 3]
    assert (validating.sequences, shown) == ({"train-00"}, {"train-01", "train-02"})
    written, (better, last) = load_file(paths.TRACKER), validating.weights
    assert all(torch.equal(written[name], last[name]) for name in written)
    assert not all(torch.equal(written[name], better[name]) for name in written)
    table = (train_tracking.REPORT / "validation.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in table[1:]] == [["2", "0.6"], ["4", "0.4"]]


def test_other_parameters_do_not_resume(parameters: Params, checkout: Path, recorder):
    backbone.run(parameters, recorder)
    with pytest.raises(KilledError):
        pretrain_fpn.run(parameters, kill_at(recorder, 3))
    other = parameters.model_copy(update={"seed": parameters.seed + 1})
    pretrain_fpn.run(other, recorder)
    assert [step for step, _ in recorder.logged["loss_mask"]] == [1, 2, 3, 4]


def test_held_out_sequences_are_not_trained_on(checkout: Path):
    training, held_out = split_held_out(open_davis(paths.DAVIS, "train", 2016), ["train-01"])
    assert [sequence.name for sequence in held_out] == ["train-01"]
    assert [sequence.name for sequence in training] == ["train-00", "train-02"]


def test_sequences_whose_first_frames_cannot_be_scored_are_named_before_anything_is_trained(checkout: Path):
    held_out = open_davis(paths.DAVIS, "train", 2016)[:1]
    require_annotated(held_out, 3)
    sparse = [replace(held_out[0], masks=(held_out[0].masks[0], None, *held_out[0].masks[2:]))]
    with pytest.raises(UserError, match=r"validate_frames: train-00 has 2 annotated masks .* needs 3"):
        require_annotated(sparse, 3)


def test_unknown_and_all_held_out_are_one_line(checkout: Path):
    sequences = open_davis(paths.DAVIS, "train", 2016)
    with pytest.raises(UserError, match=r"train_tracking\.held_out: nobody not in the training split"):
        split_held_out(sequences, ["nobody"])
    with pytest.raises(UserError, match="leave some to train on"):
        split_held_out(sequences, [sequence.name for sequence in sequences])


def test_the_stage_validate_scores_all_frames_of_the_held_out_videos(parameters: Params, checkout: Path, recorder):
    torch.manual_seed(0)
    network = build_network(**parameters.model.model_dump())
    save_weights(network, paths.TRACKER)
    validate.run(parameters, recorder)
    scores = json.loads((paths.REPORTS / "validate/metrics.json").read_text())
    held_out = [video for video in open_davis(paths.DAVIS, "train", 2016) if video.name == "train-00"]
    expected, _ = measure(network, Settings(**parameters.segmentation.model_dump()), held_out, None)
    assert scores == expected
    assert list(scores) == ["J&F", "J", "F", "success_auc", "precision_20px", "J&F train-00"]
    assert recorder.logged["J&F"] == [(None, scores["J&F"])]
    assert json.loads((paths.REPORTS / "validate/speed.json").read_text())["seconds_per_frame"] > 0
