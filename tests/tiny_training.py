"""Fixtures for the training stages: a network, data and schedule so small that a training takes seconds."""

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from partprop.base import paths
from partprop.params import Params
from partprop.synthetic import write_coco, write_davis, write_stills

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def tiny_params() -> Params:
    """The preset mini, cut down to 4 steps of training."""
    content = yaml.safe_load((ROOT / "presets/mini.yaml").read_text(encoding="utf-8"))
    content["data"]["synthetic"] |= {
        "width": 96,
        "height": 64,
        "train_images": 4,
        "val_images": 2,
        "still_images": 3,
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
    content["pretrain_fpn"] |= shared | {"image_size": 128, "pairs": 2, "crop": 64}
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


@pytest.fixture(scope="session")
def tiny_data(tiny_params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/coco, data/davis and data/static."""
    folder = tmp_path_factory.mktemp("tiny_data")
    write_coco(folder / paths.COCO, tiny_params.data.synthetic)
    write_davis(folder / paths.DAVIS, tiny_params.data.synthetic, 2016)
    (folder / paths.STATIC).mkdir()
    write_stills(folder / paths.STATIC, tiny_params.data.synthetic)
    return folder


@pytest.fixture
def tiny_checkout(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a folder with data and a cache of its own."""
    shutil.copytree(tiny_data, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARTPROP_CACHE", str(tmp_path / "cache"))
    return tmp_path


def with_steps(params: Params, steps: int) -> Params:
    """Return the parameters with another number of steps in both training stages."""
    sections = ("pretrain_fpn", "train_tracking")
    return params.model_copy(
        update={name: getattr(params, name).model_copy(update={"steps": steps}) for name in sections}
    )


def first_losses(report: Path) -> dict[str, float]:
    """Return the first row of a stage's curves.csv."""
    with (report / "curves.csv").open() as file:
        return {name: float(value) for name, value in next(csv.DictReader(file)).items()}
