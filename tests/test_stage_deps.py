"""dvc.yaml declares what each stage loads and reads, so that a change reruns the affected stages and no others."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from partprop.base import paths
from partprop.params import load_params
from partprop.pipeline.declared import declared_values, read_declaration
from partprop.training.common.checkpoint import TRAINING_CODE

ROOT = Path(__file__).resolve().parents[1]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
TRAINING = ("pretrain_fpn", "train_tracking")
IDLE = 6  # files that a training stage depends on but does not load, at most
SOURCES_A_STAGE, SOURCES = 8, 70  # lines of source deps, at most
HEAVY_MODULES = {"torch", "torchvision", "mlflow.pytorch"}


def entry(stage: str) -> dict[str, Any]:
    """The entry of a stage in dvc.yaml, of a foreach stage its `do`."""
    return STAGES[stage].get("do", STAGES[stage])


@cache
def loaded_by(module: str) -> dict[str, Any]:
    """What tests/loaded_modules.py prints for a module."""
    command = [sys.executable, str(ROOT / "tests/loaded_modules.py"), module]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_modules_that_the_stage_loads(stage: str) -> None:
    loaded = loaded_by(f"partprop.stages.{stage}")
    files = {Path(file).relative_to(ROOT) for file in loaded["files"].values()}
    needed = {path for path in files if path.name != "__init__.py" or not is_bare(ROOT / path)}
    declared = {Path(dep) for dep in entry(stage)["deps"] if dep.startswith("src/")}
    missing = {path for path in needed if not any(path.is_relative_to(dep) for dep in declared)}
    assert not missing, f"add to the deps of {stage}: {sorted(map(str, missing))}"
    idle = {dep for dep in declared if not any(path.is_relative_to(dep) for path in needed)}
    assert not idle, f"remove from the deps of {stage}: {sorted(map(str, idle))}"
    if not any(path.is_relative_to("src/partprop/model") for path in declared):
        assert not HEAVY_MODULES & set(loaded["eager"])


@pytest.mark.parametrize("stage", TRAINING)
def test_few_files_retrain_without_being_loaded(stage: str) -> None:
    """A file that training does not load, in a folder that it depends on, would still make it retrain."""
    loaded = {Path(file) for file in loaded_by(f"partprop.stages.{stage}")["files"].values()}
    declared = [ROOT / dep for dep in entry(stage)["deps"] if dep.startswith("src/")]
    files = {file for dep in declared if dep.is_dir() for file in dep.rglob("*.py")}
    idle = {file for file in files - loaded if file.name != "__init__.py" or not is_bare(file)}
    assert len(idle) <= IDLE, (
        f"move out of the folders of {stage}: {sorted(str(file.relative_to(ROOT)) for file in idle)}"
    )


def test_deps_have_few_lines() -> None:
    counts = {stage: sum(dep.startswith("src/") for dep in entry(stage)["deps"]) for stage in STAGES}
    assert max(counts.values()) <= SOURCES_A_STAGE
    assert sum(counts.values()) <= SOURCES


def is_bare(path: Path) -> bool:
    """Whether a package's __init__.py holds no code; the lazy import in partprop's own does not count."""
    if path == ROOT / "src/partprop/__init__.py":
        return True
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_version = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
        if not is_docstring and not is_version:
            return False
    return True


@pytest.mark.parametrize("module", ["partprop", "partprop.cli", "partprop.pipeline.schedule", "partprop.pipeline.runs"])
def test_scheduling_and_logging_load_no_heavy_library(module: str) -> None:
    assert not HEAVY_MODULES & set(loaded_by_import(module))


def test_import_partprop_loads_no_library() -> None:
    assert not {"numpy", "pandas", "mlflow", "cv2", "pydantic"} & set(loaded_by_import("partprop"))


def loaded_by_import(module: str) -> list[str]:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout.split()


@pytest.mark.parametrize("stage", STAGES)
def test_deps_and_outputs_are_the_data_that_the_stage_names(stage: str) -> None:
    """Each data set, model or result of `paths` that a stage's module names is among its deps or outs."""
    tree = ast.parse((ROOT / f"src/partprop/stages/{stage}.py").read_text(encoding="utf-8"))
    named = {
        getattr(paths, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "paths" and node.attr != "REPORTS"
    }
    listed = [*entry(stage)["deps"], *entry(stage).get("outs", [])]
    known = {Path(item.replace("/${item}", "")) for item in listed if not item.startswith("src/")}
    missing = {path for path in named if not any(each == path or path in each.parents for each in known)}
    assert not missing, f"add to the deps or outs of {stage}: {sorted(map(str, missing))}"


@pytest.mark.parametrize("stage", STAGES)
def test_declared_parameters_exist(stage: str) -> None:
    params = load_params(ROOT / "presets/mini.yaml")
    declared_values(params, read_declaration(stage, ROOT / "dvc.yaml").keys)


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_runs_its_own_module(stage: str) -> None:
    shard = " --shard ${item}" if "foreach" in STAGES[stage] else ""
    assert entry(stage)["cmd"] == f"scripts/stage {stage}{shard}"


@pytest.mark.parametrize("stage", STAGES)
def test_uncached_outputs_are_metrics_or_plots(stage: str) -> None:
    """DVC would otherwise keep the stage out of its run cache and never restore it."""
    assert all(isinstance(out, str) for out in entry(stage).get("outs", []))


@pytest.mark.parametrize(
    ("file", "stale"),
    [
        ("report/page.html", {"report"}),
        ("report/figures.py", {"report"}),
        ("segment/command.py", set()),
        ("demo/page.py", set()),
        ("evaluation/workers.py", {"evaluate", "report"}),
        ("process/allocator.py", {"infer", "evaluate", "report"}),
        ("pipeline/runs.py", set()),
        ("tracking/segmenter.py", {"train_tracking", "validate", "infer", "evaluate", "report"}),
        (
            "training/pyramid/detector.py",
            set(STAGES) - {"download_coco", "download_davis", "download_static", "backbone", "baselines"},
        ),
    ],
)
def test_a_changed_file_reruns_the_stages_that_it_affects(file: str, stale: set[str]) -> None:
    path = f"src/partprop/{file}"
    assert (ROOT / path).is_file()
    direct = {stage for stage in STAGES if any(Path(path).is_relative_to(dep) for dep in inputs(stage))}
    assert with_dependents(direct) == stale


def stale_after(key: str) -> set[str]:
    """The stages that a changed key of params.yaml makes stale."""
    return with_dependents(
        {stage for stage in STAGES if any(f"{key}.".startswith(f"{declared}.") for declared in keys_of(stage))}
    )


def with_dependents(stale: set[str]) -> set[str]:
    """Stages, and all stages that depend on their outputs."""
    while more := {stage for stage in STAGES if inputs(stage) & set().union(*map(outputs, stale))} - stale:
        stale |= more
    return stale


def keys_of(stage: str) -> tuple[str, ...]:
    return read_declaration(stage, ROOT / "dvc.yaml").keys


def inputs(stage: str) -> set[str]:
    return set(entry(stage)["deps"])


def outputs(stage: str) -> set[str]:
    written = [item for kind in ("outs", "plots", "metrics") for item in entry(stage).get(kind, [])]
    paths = [item if isinstance(item, str) else next(iter(item)) for item in written]
    return {path.replace("/${item}", "") for path in paths}


def test_settings_of_the_online_loop_retrain_nothing() -> None:
    for key in ("segmentation.parts", "segmentation.lost_score"):
        assert stale_after(key) == {"validate", "infer", "evaluate", "report"}
    assert "train_tracking" in stale_after("train_tracking.validate_settings.parts")


def test_checkpoints_belong_to_the_code_that_the_training_stages_depend_on() -> None:
    """A changed file that makes a training stage stale must not resume the checkpoint of the old code."""
    deps = {Path(dep) for stage in TRAINING for dep in entry(stage)["deps"] if dep.startswith("src/")}
    assert {dep.relative_to("src/partprop").parts[0] for dep in deps} == set(TRAINING_CODE)
