"""Run every stage of dvc.yaml in turn on a few seconds of synthetic video."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from plot_columns import columns_by_file, missing_columns

ROOT = Path(__file__).resolve().parents[2]
ABLATIONS = "reports/ablations.csv"  # an input of the report that no stage writes
TINY = {
    "data": {
        "synthetic": {
            "width": 96,
            "height": 64,
            "train_images": 4,
            "val_images": 2,
            "still_images": 4,
            "train_videos": 3,
            "val_videos": 2,
            "frames": 8,
        }
    },
    "model": {"fpn_channels": 16, "key_channels": 16, "value_channels": 8, "roi_size": 16, "training_roi_size": 16},
    "pretrain_fpn": {
        "steps": 2,
        "batch": 2,
        "image_size": 128,
        "pairs": 2,
        "crop": 64,
        "warmup_steps": 1,
        "log_every": 1,
        "threads": 1,
    },
    "train_tracking": {
        "held_out": ["train-00"],
        "steps": 2,
        "batch": 2,
        "crop": 64,
        "max_gap": 4,
        "parts": 2,
        "warmup_steps": 1,
        "log_every": 1,
        "validate_every": 2,
        "validate_frames": 3,
        "validate_settings": {"short_side": 64, "parts": 2},
        "threads": 1,
    },
    "segmentation": {"short_side": 64, "parts": 2},
    "baselines": {"short_side": 64, "context_frames": 1, "radius": 3, "neighbours": 3, "threads": 1},
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files in Git, with parameters for a run of seconds."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file() and (not name.startswith("reports/") or name == ABLATIONS):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    params = yaml.safe_load((ROOT / "presets/mini.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(params, TINY)), encoding="utf-8")
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    return folder


def merged(params: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The parameters with some values replaced, section by section."""
    return params | {
        key: merged(params[key], value) if isinstance(value, dict) else value for key, value in changes.items()
    }


def test_every_stage_writes_what_it_declares(checkout: Path) -> None:
    stages = yaml.safe_load((checkout / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for command, outputs in runs(stages):
        process = subprocess.run(command, cwd=checkout, env=environment(checkout), capture_output=True, text=True)
        assert process.returncode == 0, f"{' '.join(command)}\n{process.stdout}{process.stderr}"
        missing = [path for path in outputs if not (checkout / path).exists()]
        assert not missing, f"{' '.join(command)} did not write {missing}"

    assert missing_columns(checkout, columns_by_file()) == []
    metrics = json.loads((checkout / "reports/metrics.json").read_text(encoding="utf-8"))
    assert {"first_mask", "flow", "label_propagation"} == set(metrics["baselines"])
    for block in (metrics["ours"], *metrics["baselines"].values()):
        assert 0 <= block["J&F"] <= 1
        assert len(block["sequences"]) == TINY["data"]["synthetic"]["val_videos"]


def runs(stages: dict[str, Any]) -> Iterator[tuple[list[str], list[str]]]:
    """The command and outputs of each stage and shard, in the order of dvc.yaml, where inputs come first."""
    shards = [0, 1]
    for entry in stages.values():
        for shard in shards if "foreach" in entry else [None]:
            text = yaml.safe_dump(entry.get("do", entry)).replace("${item}", str(shard))
            stage = yaml.safe_load(text)
            outputs = [
                next(iter(output)) if isinstance(output, dict) else output
                for kind in ("outs", "metrics", "plots")
                for output in stage.get(kind, [])
            ]
            yield stage["cmd"].split(), outputs


def environment(checkout: Path) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}
    return inherited | {"VIRTUAL_ENV": sys.prefix, "PARTPROP_CACHE": str(checkout / "cache"), "OMP_NUM_THREADS": "1"}
