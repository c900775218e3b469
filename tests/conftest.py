"""Fixtures for all tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch are imported, since tests run in parallel

import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["data_sets", "tiny_training", "videos"]

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Recorder:
    """Stands in for `partprop.pipeline.runs.Run` and keeps what a stage logs."""

    logged: dict[str, list[tuple[int | None, float]]] = field(default_factory=lambda: defaultdict(list))
    tagged: dict[str, str] = field(default_factory=dict)
    artifacts: list[Path] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        for name, value in values.items():
            self.logged[name].append((step, float(value)))

    def tags(self, values: Mapping[str, str]) -> None:
        self.tagged.update(values)

    def artifact(self, path: Path) -> None:
        assert path.exists(), f"{path} is logged but does not exist"
        self.artifacts.append(path)

    def require_same_inputs(self) -> None:
        pass

    def model(self, name: str, module: Any, inputs: Any) -> None:
        self.models.append(name)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def mini_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the mini preset as params.yaml in an empty folder, which becomes the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return Path(shutil.copy(ROOT / "presets/mini.yaml", tmp_path / "params.yaml"))
