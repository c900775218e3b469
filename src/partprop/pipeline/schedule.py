"""The stages of dvc.yaml as Snakemake sees them: DVC says what is stale, Snakemake when and where it runs.

Each stage has an empty stamp file, which is all that Snakemake looks at. Stamps of stale stages are dropped and those
of fresh ones made before Snakemake builds its graph, so that both tools agree on what is left to do.
"""

import atexit
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partprop.base.errors import UserError
from partprop.base.paths import PARAMS
from partprop.params import load_params
from partprop.pipeline.failures import forget_failures, last_failure
from partprop.pipeline.sources import note_sources
from partprop.pipeline.splits import require_sequences

if TYPE_CHECKING:
    from dvc.repo import Repo

STAMPS = Path(".snakemake/stages")


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml: its name as `dvc repro` takes it, the stages it waits for, and its `meta` for Snakemake."""

    name: str
    after: tuple[str, ...]
    threads: int = 1
    resources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stamp(self) -> str:
        """The file that says that the stage is up to date."""
        return _stamp(self.name)

    @property
    def inputs(self) -> list[str]:
        """The stamps of the stages that it waits for."""
        return [_stamp(name) for name in self.after]


def prepare(is_main_process: bool) -> list[Stage]:
    """The stages to schedule. The main process, and no job of it, first checks the parameters and renews the stamps.

    Raises:
        UserError: params.yaml or dvc.yaml is not right, or the pipeline is running.
    """
    use_this_environment()
    if is_main_process:
        params = load_params(PARAMS)
        require_sequences(params)
        note_sources(params)
    with _open_repo() as repo:
        stages = read_stages(repo)
        if is_main_process:
            renew_stamps(stages, stale=find_stale(repo))
            forget_failures()
    return stages


def use_this_environment() -> None:
    """Let every command find this Python's programs first, as if its environment were activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ["VIRTUAL_ENV"] = sys.prefix


def read_stages(repo: "Repo") -> list[Stage]:
    """The stages of dvc.yaml, sorted by name."""
    graph = repo.index.graph
    return sorted(
        (
            Stage(
                stage.addressing,
                tuple(sorted(before.addressing for before in graph.successors(stage))),
                **(stage.meta or {}),
            )
            for stage in graph
        ),
        key=lambda stage: stage.name,
    )


def find_stale(repo: "Repo") -> set[str]:
    """Names of the stages whose commands, dependencies, parameters or outputs differ from dvc.lock."""
    return set(repo.status())


def renew_stamps(stages: list[Stage], stale: set[str]) -> None:
    """Drop the stamps of stale stages and make those of fresh ones, all with one time: age carries no meaning here."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        stamp = Path(stage.stamp)
        if stage.name in stale:
            stamp.unlink(missing_ok=True)
        else:
            stamp.touch()
            os.utime(stamp, (0, 0))


def repeat_last_failure() -> None:
    """Print the failed stage's line once more, after all that Snakemake has to say."""
    line = last_failure()
    if line:
        atexit.register(print, line, file=sys.stderr)


def reconcile() -> None:
    """Link the outputs that DVC restored from its cache to the MLflow runs that made them."""
    from partprop.pipeline.runs import reconcile as reconcile_runs

    reconcile_runs()


@contextmanager
def _open_repo() -> Iterator["Repo"]:
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            yield repo
    except LockError as error:
        raise UserError(f"the pipeline is running, PID {_holder(str(error))}; wait for it or stop it") from None
    except DvcException as error:
        raise UserError(f"dvc.yaml: {' '.join(str(error).split())}") from None


def _holder(message: str) -> str:
    """The process that keeps DVC from looking: named in its message for a stage, in the lock file between stages."""
    named = re.search(r"PID (\d+)", message)
    return named[1] if named else Path(".dvc/tmp/lock").read_text(encoding="utf-8").strip()


def _stamp(name: str) -> str:
    return str(STAMPS / name)
