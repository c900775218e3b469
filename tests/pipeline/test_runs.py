"""MLflow runs: parents by pipeline state, children by stage, links to the runs that made restored outputs."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.pipeline.runs import (
    INPUTS_TAG,
    PARENT_TAG,
    STATE_TAG,
    Runs,
    link_restored_outputs,
    pipeline_state,
    start_run,
)

STAGES = """
stages:
  first:
    foreach: [0]
    do:
      cmd: echo ${seed} > first.txt
      params: [seed]
      outs: [first.txt]
  second:
    cmd: cp first.txt second.txt && echo ${segmentation.parts} >> second.txt
    deps: [first.txt]
    params: [segmentation.parts]
    outs: [second.txt]
"""
WRITER = """
import sys
from partprop.pipeline.runs import start_run
with start_run(sys.argv[1], {}) as log:
    log.metrics({"x": 1})
"""
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def checkout(mini_params: Path) -> Path:
    folder = mini_params.parent
    (folder / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    shutil.copytree(
        Path(__file__).resolve().parents[2] / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp")
    )
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)
    return folder


def reproduce() -> None:
    subprocess.run([PROGRAMS / "dvc", "repro", "-q"], check=True)


def set_parts(checkout: Path, old: int, new: int) -> None:
    path = checkout / "params.yaml"
    before, key, after = path.read_text(encoding="utf-8").partition(f"\n  parts: {old}")
    assert key, f"params.yaml has no `parts: {old}`"
    path.write_text(f"{before}\n  parts: {new}{after}", encoding="utf-8")


def test_a_stage_logs_to_a_child_run_of_the_pipeline_state(checkout: Path) -> None:
    (checkout / "table").mkdir()
    (checkout / "table/a.csv").write_text("step\n", encoding="utf-8")
    with start_run("first@0", {"seed": 1}) as log:
        log.metrics({"J&F": 0.5}, step=3)
        log.tags({"manifest": "abc"})
        log.artifact(checkout / "table")
    with pytest.raises(ValueError, match="broken"), start_run("second", {}):
        raise ValueError("broken")
    with pytest.raises(SystemExit), start_run("second", {}):
        raise SystemExit(143)

    runs = Runs(checkout)
    [first], [killed, failed] = (runs.find({"stage": name}) for name in ("first@0", "second"))
    [parent] = runs.find({STATE_TAG: pipeline_state(checkout)})
    assert {run.data.tags[PARENT_TAG] for run in (first, failed, killed)} == {parent.info.run_id}
    assert [run.info.status for run in (first, failed, killed)] == ["FINISHED", "FAILED", "KILLED"]
    assert first.data.params == {"seed": "1"}
    assert first.data.tags["manifest"] == "abc"
    [point] = runs.client.get_metric_history(first.info.run_id, "J_and_F")
    assert (point.value, point.step) == (0.5, 3)
    assert [file.path for file in runs.client.list_artifacts(first.info.run_id, "table")] == ["table/a.csv"]
    assert (checkout / "mlruns" / first.info.run_id / "artifacts/table/a.csv").exists()


def test_a_damaged_database_is_one_line(checkout: Path) -> None:
    (checkout / "mlflow.db").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(UserError, match=r"mlflow\.db: cannot be read \(.*\); move it away"):
        Runs(checkout)
    (checkout / "mlflow.db").unlink()
    (checkout / "mlflow.db").mkdir()
    with pytest.raises(UserError, match=r"mlflow\.db: cannot be read \(.*\); move it away"):
        Runs(checkout)


def test_a_database_of_another_mlflow_is_one_line(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    Runs(checkout)
    other = tmp_path_factory.mktemp("other")  # MLflow caches the state of the first database
    shutil.copy(checkout / "mlflow.db", other)
    with closing(sqlite3.connect(other / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'another'")
        database.commit()
    with pytest.raises(UserError, match=r"mlflow\.db: written by another version of MLflow; .*db upgrade"):
        Runs(other)


def test_an_input_that_changes_while_a_stage_runs_is_an_error(checkout: Path) -> None:
    """DVC would record outputs of the old input as outputs of the new one."""
    (checkout / "first.txt").write_text("1", encoding="utf-8")
    with start_run("second", {}) as log:
        log.require_same_inputs()
    with (
        pytest.raises(UserError, match=r"stage second: first\.txt changed while the stage was running"),
        start_run("second", {}),
    ):
        (checkout / "first.txt").write_text("2", encoding="utf-8")
    with start_run("second", {}) as log:
        set_parts(checkout, 6, 7)
        with pytest.raises(UserError, match=r"segmentation\.parts changed while the stage was running"):
            log.require_same_inputs()
        set_parts(checkout, 7, 6)
    last, changed, first = (run.info.status for run in Runs(checkout).find({"stage": "second"}))
    assert (first, changed, last) == ("FINISHED", "FAILED", "FINISHED")


def test_the_parent_run_has_the_worst_status_of_its_stages(checkout: Path) -> None:
    def parent_status() -> str:
        [parent] = runs.find({STATE_TAG: pipeline_state(checkout)})
        return parent.info.status

    with pytest.raises(ValueError, match="broken"), start_run("first@0", {}):
        raise ValueError("broken")
    with start_run("second", {}):
        pass
    runs = Runs(checkout)
    assert parent_status() == "FAILED", "although another stage finished later"
    with start_run("first@0", {}):
        pass
    assert parent_status() == "FINISHED"


def test_the_open_run_of_a_killed_process_is_ended_by_the_next_run(checkout: Path) -> None:
    killed = "import os, sys; from partprop.pipeline.runs import start_run\nwith start_run('second', {}): os._exit(9)"
    subprocess.run([sys.executable, "-c", killed], cwd=checkout, check=False)
    runs = Runs(checkout)
    assert [run.info.status for run in runs.find({"stage": "second"})] == ["RUNNING"]
    with start_run("second", {}):
        pass
    assert [run.info.status for run in runs.find({"stage": "second"})] == ["FINISHED", "KILLED"]


def test_extra_processes_of_multi_gpu_training_log_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with start_run("first@0", {"seed": 1}) as log:
        log.metrics({"J&F": 0.5}, step=3)
        log.tags({"colour": "red"})
        log.artifact(checkout / "params.yaml")
    assert not (checkout / "mlflow.db").exists()


def test_simultaneous_first_writers_share_one_parent(checkout: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, stage], cwd=checkout)
        for stage in ("first@0", "first@0", "second")
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    runs = Runs(checkout)
    [parent] = runs.find({STATE_TAG: pipeline_state(checkout)})
    children = runs.find({PARENT_TAG: parent.info.run_id})
    assert sorted(child.info.run_name for child in children) == ["first@0", "first@0", "second"]
    assert parent.info.status == "FINISHED"


def test_restored_outputs_are_linked_to_the_runs_that_made_them(checkout: Path) -> None:
    link_restored_outputs()
    assert not (checkout / "mlflow.db").exists(), "nothing was logged, so there is nothing to link"
    with start_run("first@0", {}):
        subprocess.run("echo 1 > first.txt", shell=True, check=True)
    with start_run("second", {}):
        pass
    reproduce()
    link_restored_outputs()
    runs = Runs(checkout)
    [made] = runs.find({"stage": "first@0"})
    [parent] = runs.find({STATE_TAG: pipeline_state(checkout)})
    assert len(parent.data.tags["dvc.lock"]) == 64
    link_restored_outputs()
    [again] = runs.find({STATE_TAG: pipeline_state(checkout)})
    assert again.info.end_time == parent.info.end_time, "linking again does not change the end time"
    assert not [tag for tag in parent.data.tags if tag.startswith("restored")], "all outputs are from its own runs"

    set_parts(checkout, 6, 7)
    link_restored_outputs()
    assert not runs.find({STATE_TAG: pipeline_state(checkout)}), "not yet reproduced"
    reproduce()
    link_restored_outputs()
    [later] = runs.find({STATE_TAG: pipeline_state(checkout)})
    restored = {tag: value for tag, value in later.data.tags.items() if tag.startswith("restored")}
    assert restored == {"restored.first.0": made.info.run_id}
    assert made.info.run_id in later.data.tags["mlflow.note.content"]
    assert later.info.status == "FINISHED"


def test_runs_are_distinguished_by_their_inputs(checkout: Path) -> None:
    reproduce()
    with start_run("second", {}):
        pass
    set_parts(checkout, 6, 7)
    with start_run("second", {}):
        pass
    set_parts(checkout, 7, 6)
    with start_run("second", {}):
        pass
    newest, middle, oldest = (run.data.tags[INPUTS_TAG] for run in Runs(checkout).find({"stage": "second"}))
    assert newest == oldest != middle


def test_the_pipeline_state_covers_code_dvc_yaml_and_parameters(checkout: Path) -> None:
    states = [pipeline_state(checkout)]
    for name in ("src/partprop/new.py", "dvc.yaml", "params.yaml"):
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("# a change\n")
        states.append(pipeline_state(checkout))
    assert len(set(states)) == 4
    (checkout / "reports").mkdir()
    (checkout / "reports/metrics.json").write_text("{}", encoding="utf-8")
    (checkout / "src/partprop/__pycache__").mkdir()
    (checkout / "src/partprop/__pycache__/new.pyc").write_bytes(b"")
    assert pipeline_state(checkout) == states[-1]


def test_an_experiment_in_another_folder_logs_to_the_main_checkout(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(checkout))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    with start_run("first@0", {}) as log:
        log.metrics({"x": 1})
    assert (checkout / "mlflow.db").exists()
    assert list(Path.cwd().iterdir()) == []
