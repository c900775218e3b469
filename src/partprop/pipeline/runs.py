"""MLflow runs: one parent run for each pipeline state, with one child run for each stage that ran.

They are stored in the main checkout (mlflow.db, mlruns/), also for experiments that run in a temporary folder.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported

import mlflow
from filelock import FileLock
from mlflow.entities import Run as StoredRun
from mlflow.exceptions import MlflowException

from partprop import __version__
from partprop.base.code_version import code_version
from partprop.base.errors import UserError
from partprop.base.paths import PARAMS, PIPELINE
from partprop.pipeline.lineage import Entry, changed_inputs, inputs_hash, planned_entry, reproduced_entries

if TYPE_CHECKING:
    import torch

EXPERIMENT = "partprop"
STATE_TAG = "pipeline.state"
STAGE_TAG = "stage"
INPUTS_TAG = "stage.inputs"
LOCK_TAG = "dvc.lock"
RESTORED_TAG = "restored"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
WORST_FIRST = ("FAILED", "KILLED", "FINISHED")


class Run:
    """The MLflow run of a stage, with the operations that stages use.

    Args:
        check: raises a UserError if an input of the stage has changed since it started.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def require_same_inputs(self) -> None:
        """Check that the inputs have not changed. Call it before the stage deletes what it could resume from.

        `start_run` checks again when the stage ends.

        Raises:
            UserError: code, parameters or data have changed since the stage started.
        """
        self._check()

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers by name, for a step of a curve if `step` is given.

        MLflow allows no ampersand in names: J&F becomes J_and_F.
        """
        mlflow.log_metrics({name.replace("&", "_and_"): float(value) for name, value in values.items()}, step=step)

    def tags(self, values: Mapping[str, str]) -> None:
        """Log text by name."""
        mlflow.set_tags(dict(values))

    def artifact(self, path: Path) -> None:
        """Store a copy of a file, or of a folder with its contents."""
        if path.is_dir():
            mlflow.log_artifacts(str(path), artifact_path=path.name)
        else:
            mlflow.log_artifact(str(path))

    def model(self, name: str, module: "torch.nn.Module", inputs: "Sequence[torch.Tensor]") -> None:
        """Store a network with its signature, as an exported graph that loads without running foreign code.

        Args:
            name: the model's name: letters, digits and dashes.
            module: the network in evaluation mode; it returns a tensor or a tuple of tensors.
            inputs: example arguments, batch first. With a batch size above 1 the batch dimension stays dynamic.
        """
        from partprop.pipeline.logged_model import log_model

        log_model(name, module, inputs)


class SilentRun(Run):
    """A run that logs nothing."""

    def __init__(self) -> None:
        super().__init__(lambda: None)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """See `Run`."""

    def tags(self, values: Mapping[str, str]) -> None:
        """See `Run`."""

    def artifact(self, path: Path) -> None:
        """See `Run`."""

    def model(self, name: str, module: "torch.nn.Module", inputs: "Sequence[torch.Tensor]") -> None:
        """See `Run`."""


@contextmanager
def start_run(stage: str, parameters: Mapping[str, Any]) -> Iterator[Run]:
    """Open a stage's child run under the parent run of the pipeline state, and end both with the right status.

    In training on several GPUs, Fabric starts an extra process for each further GPU; these processes log nothing.

    Args:
        stage: the stage as DVC names it, e.g. infer@0.
        parameters: the values of the keys that the stage declares, by dotted key.

    Raises:
        UserError: an input changed while the stage was running. DVC hashes inputs only afterwards, so it would record
            the outputs as made from the new input.
    """
    if int(os.environ.get("LOCAL_RANK", "0")) > 0:
        yield SilentRun()
        return
    runs = Runs(tracking_root())
    planned = planned_entry(stage)
    with runs.lock:
        parent = runs.parent(pipeline_state(Path.cwd()))
        runs.end_killed(parent, stage)
        runs.client.update_run(parent, status="RUNNING")
        mlflow.start_run(
            experiment_id=runs.experiment,
            run_name=stage,
            parent_run_id=parent,
            nested=True,
            tags={STAGE_TAG: stage, INPUTS_TAG: inputs_hash(planned), **_code_tags()},
            log_system_metrics=True,
        )
    status = "FAILED"
    try:
        mlflow.log_params(dict(parameters))
        yield Run(lambda: _require_unchanged(stage, planned))
        _require_unchanged(stage, planned)
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)
        with runs.lock:
            runs.end_parent(parent)


def link_restored_outputs() -> None:
    """Link outputs that DVC restored from its cache to the runs that made them, in the parent run of this state.

    None of our code runs when DVC restores a stage, so this is called after Snakemake finishes and before the dashboard
    opens. Does nothing if the pipeline is not up to date or nothing has been logged yet.
    """
    root = tracking_root()
    entries = reproduced_entries() if _database(root).exists() else None
    if entries is None:
        return
    runs = Runs(root)
    with runs.lock:
        parent = runs.parent(pipeline_state(Path.cwd()))
        origins = {stage: runs.origin(stage, inputs_hash(entry)) for stage, entry in sorted(entries.items())}
        restored = {
            stage: origin.info.run_id
            for stage, origin in origins.items()
            if origin and origin.data.tags[PARENT_TAG] != parent
        }
        for name, value in _origin_tags(restored, runs.experiment).items():
            runs.client.set_tag(parent, name, value)
        runs.client.set_tag(parent, LOCK_TAG, hashlib.sha256(Path("dvc.lock").read_bytes()).hexdigest())
        if runs.client.get_run(parent).info.status != "FINISHED":  # ending it again would change its end time
            runs.client.set_terminated(parent, "FINISHED")


def tracking_root() -> Path:
    """The main checkout. DVC passes it to its stages in DVC_ROOT, also when they run in another folder."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def tracking_uri(root: Path) -> str:
    """The URI of the run database. Stages log in parallel, so each waits up to 60 s for the others' locks."""
    return f"sqlite:///{_database(root)}?timeout=60"


def pipeline_state(root: Path) -> str:
    """A hash of everything that determines the pipeline's outputs: the code, dvc.yaml and params.yaml."""
    code = sorted(path for path in (root / "src/partprop").rglob("*") if path.suffix in (".py", ".html"))
    digest = hashlib.sha256()
    for path in filter(Path.is_file, [*code, root / PIPELINE, root / PARAMS]):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Runs:
    """The experiment's runs in the database of a checkout, which is created on first use.

    Attributes:
        lock: a file lock to hold while finding or changing a parent run.
        client: the MLflow client of the database.
        experiment: the experiment's identifier.
    """

    def __init__(self, root: Path) -> None:
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        _require_database(_database(root))
        mlflow.set_tracking_uri(tracking_uri(root))
        self.lock = FileLock(
            f"{_database(root)}.lock"
        )  # else two first writers would both create the tables, or the parent
        with self.lock:
            self.client = _client(_database(root))
            known = self.client.get_experiment_by_name(EXPERIMENT)
            self.experiment: str = (
                known.experiment_id
                if known
                else self.client.create_experiment(EXPERIMENT, artifact_location=(root / "mlruns").as_uri())
            )

    def find(self, tags: Mapping[str, str], status: str | None = None) -> list[StoredRun]:
        """The runs with these tags and, if given, this status; latest first."""
        conditions = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
        if status:
            conditions.append(f"attributes.status = '{status}'")
        return list(self.client.search_runs([self.experiment], " and ".join(conditions)))

    def parent(self, state: str) -> str:
        """The id of the parent run of a pipeline state, which is created if there is none. Hold the lock."""
        known = self.find({STATE_TAG: state})
        if known:
            return known[0].info.run_id
        tags = {STATE_TAG: state, **_code_tags()}
        return self.client.create_run(self.experiment, run_name=f"pipeline {state[:8]}", tags=tags).info.run_id

    def end_killed(self, parent: str, stage: str) -> None:
        """End the open runs of a stage that starts again: their processes were killed."""
        for run in self.find({PARENT_TAG: parent, STAGE_TAG: stage}, status="RUNNING"):
            self.client.set_terminated(run.info.run_id, "KILLED")

    def end_parent(self, parent: str) -> None:
        """End a parent run if no stage of it is running, with the worst status among the stages' latest runs."""
        statuses: dict[str, str] = {}
        for run in self.find({PARENT_TAG: parent}):  # the latest first
            statuses.setdefault(run.data.tags[STAGE_TAG], run.info.status)
        if "RUNNING" not in statuses.values():
            worst = next(status for status in WORST_FIRST if status in statuses.values())
            self.client.set_terminated(parent, worst)

    def origin(self, stage: str, inputs: str) -> StoredRun | None:
        """The latest finished run of a stage with this hash of inputs; None if there is none."""
        return next(iter(self.find({STAGE_TAG: stage, INPUTS_TAG: inputs}, status="FINISHED")), None)


def _database(root: Path) -> Path:
    return root / "mlflow.db"


def _require_database(path: Path) -> None:
    """Check that the file is an SQLite database, if it exists.

    Raises:
        UserError: it is not.
    """
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: cannot be read ({error}); move it away to start a new one") from None


def _client(database: Path) -> mlflow.MlflowClient:
    """A client of the database, which is created if it is missing.

    Raises:
        UserError: the database was written by another version of MLflow.
    """
    try:
        return mlflow.MlflowClient()
    except MlflowException as error:
        if "database schema" not in str(error):
            raise
        raise UserError(
            f"{database}: written by another version of MLflow; if it is older, back up the file and run "
            f"`.venv/bin/mlflow db upgrade 'sqlite:///{database}'`, else install that version or move the file away"
        ) from None


def _require_unchanged(stage: str, planned: Entry) -> None:
    if changed := changed_inputs(planned, planned_entry(stage)):
        raise UserError(
            f"stage {stage}: {', '.join(changed)} changed while the stage was running, so its outputs are out of date; "
            "run it again"
        )


def _origin_tags(restored: Mapping[str, str], experiment: str) -> dict[str, str]:
    """Tags of a parent run for its restored stages: the id of the run that made each, and links as the description."""
    if not restored:
        return {}
    links = [f"- [{stage}](#/experiments/{experiment}/runs/{run})" for stage, run in restored.items()]
    note = "\n".join(["Restored from DVC's cache; the runs that made these outputs:", *links])
    names = {stage: f"{RESTORED_TAG}.{stage.replace('@', '.')}" for stage in restored}  # MLflow allows no @
    return {NOTE_TAG: note, **{names[stage]: run for stage, run in restored.items()}}


def _code_tags() -> dict[str, str]:
    code = code_version()
    tags = {"version": __version__}
    if code:
        tags |= {"git.commit": code.commit, "git.modified": str(code.modified).lower()}
    return tags
