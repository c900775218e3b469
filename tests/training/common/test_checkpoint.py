"""A checkpoint holds all parts of a training, and belongs to its code, parameters and inputs."""

from pathlib import Path

import pytest
import torch

from partprop.model import building
from partprop.pipeline import declared
from partprop.training.common import checkpoint
from partprop.training.common.checkpoint import Checkpoint, Resumable, checkpoint_folder, loaded_training_code
from partprop.training.common.history import History
from partprop.training.tracker import losses


def layer(value: float) -> torch.nn.Linear:
    module = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(module.weight, value)
    return module


def test_all_parts_are_restored_and_curves_are_logged_again(tmp_path: Path, recorder):
    trained, curves = layer(3.0), History(recorder)
    curves.append(5, {"loss": 0.5})
    curves.add({"loss": torch.tensor(0.25)})
    Resumable(Checkpoint(tmp_path / "train-1"), network=trained, curves=curves).save(6)

    recorder.logged.clear()
    new, restored = layer(0.0), History(recorder)
    assert Resumable(Checkpoint(tmp_path / "train-1"), network=new, curves=restored).resume() == 6
    assert torch.equal(new.weight, trained.weight)
    assert recorder.logged == {"loss": [(5, 0.5)]}
    assert restored.flush(7) == {"step": 7, "loss": 0.25}


def test_without_a_checkpoint_training_starts_at_step_0(tmp_path: Path):
    module = layer(2.0)
    assert Resumable(Checkpoint(tmp_path / "train-1"), network=module).resume() == 0
    assert (module.weight == 2.0).all()


def test_other_parameters_and_inputs_have_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PARTPROP_CACHE", str(tmp_path))
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.png").write_bytes(b"1")
    first = checkpoint_folder("train", {"seed": 1}, [data])
    assert checkpoint_folder("train", {"seed": 1}, [data]) == first
    assert checkpoint_folder("train", {"seed": 2}, [data]) != first
    (data / "a.png").write_bytes(b"2")
    assert checkpoint_folder("train", {"seed": 1}, [data]) != first


def test_code_that_trains_names_the_folder_and_code_that_schedules_does_not():
    files = set(loaded_training_code())
    assert {Path(str(module.__file__)) for module in (checkpoint, losses, building)} <= files
    assert Path(str(declared.__file__)) not in files
