"""A stage runs with its declared parameters, thread count and MLflow run; a failed stage leaves its error line."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from partprop.base.errors import UserError
from partprop.base.threads import THREAD_VARIABLES
from partprop.params import load_params
from partprop.pipeline import runner
from partprop.pipeline.declared import DeclaredParams, declared_values, read_declaration
from partprop.pipeline.failures import last_failure

DVC_YAML = """
stages:
  baselines:
    cmd: scripts/stage baselines
    params: [seed, data.davis.year, baselines, {sources.yaml: [davis]}]
    meta: {threads: "${baselines.threads}"}
  infer:
    foreach: [0, 1]
    do:
      cmd: scripts/stage infer --shard ${item}
      params: [segmentation.parts, infer]
"""


@pytest.fixture
def stages(mini_params: Path, monkeypatch: pytest.MonkeyPatch, recorder: Any) -> Callable[..., None]:
    """Define what a stage of a given name runs. Nothing is logged to MLflow."""
    (mini_params.parent / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")

    @contextmanager
    def start_run(stage: str, parameters: Mapping[str, Any]) -> Iterator[Any]:
        recorder.tagged.update({"stage": stage, **{key: str(value) for key, value in parameters.items()}})
        yield recorder

    experiment = ModuleType("partprop.pipeline.runs")
    experiment.start_run = start_run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "partprop.pipeline.runs", experiment)
    monkeypatch.setattr(runner, "end_with_parent", lambda: None)
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "7")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")

    def define(name: str, run: Callable[..., None]) -> None:
        monkeypatch.setitem(sys.modules, f"partprop.stages.{name}", SimpleNamespace(run=run))

    return define


def test_a_stage_gets_its_parameters_shard_threads_and_run(stages: Callable[..., None], recorder: Any) -> None:
    seen = []

    def run(params: Any, log: Any, shard: int) -> None:
        seen.append((params.segmentation.parts, params.infer.shards, shard, os.environ["OMP_NUM_THREADS"]))
        log.metrics({"frames_per_second": 3.0})

    stages("infer", run)
    runner.run_stage("infer", shard=1)
    assert seen == [(6, [0, 1], 1, "1")]
    assert recorder.tagged["stage"] == "infer@1"
    assert recorder.tagged["segmentation.parts"] == "6"
    assert recorder.logged["frames_per_second"] == [(None, 3.0)]


def test_the_thread_count_is_a_parameter_of_the_stage(stages: Callable[..., None]) -> None:
    counts = []
    stages("baselines", lambda params, log: counts.append(os.environ["OMP_NUM_THREADS"]))
    runner.run_stage("baselines")
    assert counts == ["2"]


def test_an_error_line_is_kept_until_the_stage_runs_again(stages: Callable[..., None]) -> None:
    def full(params: Any, log: Any) -> None:
        raise OSError(28, "No space left on device", "results/a.png")

    def full_database(params: Any, log: Any) -> None:
        raise RuntimeError("(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT INTO metrics]")

    def bad_input(params: Any, log: Any) -> None:
        raise UserError("data/davis/a.png: is corrupt; replace it")

    def programming_error(params: Any, log: Any) -> None:
        raise ValueError("shapes\ndiffer")

    for run, error, line in (
        (bad_input, UserError, "data/davis/a.png: is corrupt; replace it"),
        (full, UserError, "results/a.png: the disk is full; make room and run again"),
        (full_database, UserError, "mlflow.db: the disk is full; make room and run again"),
        (programming_error, ValueError, "stage baselines: ValueError: shapes differ"),
    ):
        stages("baselines", run)
        with pytest.raises(error):
            runner.run_stage("baselines")
        assert last_failure() == line
    stages("baselines", lambda params, log: None)
    runner.run_stage("baselines")
    assert last_failure() is None


@pytest.mark.parametrize(
    ("name", "shard", "line"),
    [
        ("trian", None, "no stage trian"),
        ("infer", 5, r"--shard 5: no such shard; stage infer has the shards 0, 1"),
        ("infer", None, "--shard: missing; stage infer has the shards 0, 1"),
        ("baselines", 0, "--shard 0: stage baselines has no shards"),
    ],
)
def test_an_unknown_stage_or_shard_is_one_line(
    stages: Callable[..., None], name: str, shard: int | None, line: str
) -> None:
    with pytest.raises(UserError, match=line):
        runner.run_stage(name, shard)


def test_a_thread_count_that_is_not_declared_is_an_error(stages: Callable[..., None], mini_params: Path) -> None:
    """The result depends on it: DVC must rerun the stage when it changes."""
    dvc_yaml = mini_params.parent / "dvc.yaml"
    dvc_yaml.write_text(DVC_YAML.replace("${baselines.threads}", "${train_tracking.threads}"), encoding="utf-8")
    stages("baselines", lambda params, log: None)
    with pytest.raises(LookupError, match=r"stage baselines reads train_tracking: add it"):
        runner.run_stage("baselines")


def test_only_declared_parameters_can_be_read(mini_params: Path) -> None:
    params = load_params(mini_params)
    view = DeclaredParams(params, "baselines", ["seed", "data.davis.year", "baselines"])
    assert (view.seed, view.data.davis.year, view.baselines.radius) == (1, 2016, 12)
    assert view.baselines == params.baselines
    for read in (
        lambda: view.preset,
        lambda: view.data.davis.source,
        lambda: view.data.coco,
        lambda: getattr(view, "preset", "a default"),
    ):
        with pytest.raises(LookupError, match=r"stage baselines reads (preset|data\.\S+): add it"):
            read()
    with pytest.raises(AttributeError):
        _ = view.no_such_key


def test_a_declaration_has_keys_sources_and_shards(mini_params: Path, tmp_path: Path) -> None:
    dvc_yaml = tmp_path / "dvc.yaml"
    dvc_yaml.write_text(DVC_YAML, encoding="utf-8")
    params = load_params(mini_params)
    sharded, single = (read_declaration(stage, dvc_yaml) for stage in ("infer", "baselines"))
    assert (sharded.keys, sharded.reads_sources, sharded.shards(params)) == (
        ("segmentation.parts", "infer"),
        False,
        [0, 1],
    )
    assert (single.keys, single.reads_sources, single.shards(params)) == (
        ("seed", "data.davis.year", "baselines"),
        True,
        None,
    )
    dvc_yaml.write_text(DVC_YAML.replace("foreach: [0, 1]", "foreach: ${infer.shards}"), encoding="utf-8")
    assert read_declaration("infer", dvc_yaml).shards(params) == [0, 1]


def test_sections_are_expanded_into_their_keys(mini_params: Path) -> None:
    values = declared_values(load_params(mini_params), ["segmentation.parts", "infer"])
    assert values == {"segmentation.parts": 6, "infer.shards": [0, 1], "infer.threads": 1}


STAGE = """
import os, sys, time
from pathlib import Path
from partprop.process.parent import end_with_parent
end_with_parent(poll_seconds=0.1)
try:
    Path("started").write_text(str(os.getpid()))
    time.sleep(60)
finally:
    Path("cleaned").touch()
"""


@pytest.mark.parametrize("shell", [False, True], ids=["child", "behind a shell"])
def test_a_stage_exits_cleanly_when_its_parent_is_killed(tmp_path: Path, shell: bool) -> None:
    (tmp_path / "stage.py").write_text(STAGE, encoding="utf-8")
    command = f"{sys.executable} stage.py; true" if shell else f"exec {sys.executable} stage.py"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run(['sh', '-c', {command!r}])"],
        cwd=tmp_path,
        env={**os.environ, "DVC_STAGE": "infer@0"},
    )
    wait_for(lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text() != "")
    stage = psutil.Process(int((tmp_path / "started").read_text()))
    parent.kill()
    parent.wait()
    wait_for(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE)
    assert (tmp_path / "cleaned").exists()


FAILING = """
import sys
from partprop.process.parent import repeat_after_parent
print("a.png: is corrupt", file=sys.stderr, flush=True)
repeat_after_parent("a.png: is corrupt")
"""
DVC = """
import subprocess, sys
subprocess.run([sys.executable, "stage.py"])
print("ERROR: failed to reproduce", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("above", "last"), [("make", "a.png: is corrupt"), ("snakemake", "ERROR: failed to reproduce")]
)
def test_the_error_line_of_the_stage_follows_dvcs_own(tmp_path: Path, above: str, last: str) -> None:
    (tmp_path / "stage.py").write_text(FAILING, encoding="utf-8")
    (tmp_path / "dvc").write_text(DVC, encoding="utf-8")
    (tmp_path / above).write_text("import subprocess, sys; subprocess.run([sys.executable, 'dvc'])", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, above],
        cwd=tmp_path,
        env={**os.environ, "DVC_STAGE": "infer@0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == last


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
