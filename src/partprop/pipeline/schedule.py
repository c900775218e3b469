"""The stages of dvc.yaml for Snakemake: DVC decides what is stale, Snakemake when and where it runs.

Each stage has an empty stamp file, the only file that Snakemake checks. Before Snakemake builds its graph, the stamps
of stale stages are deleted and those of fresh stages created, so that both tools agree on what is left to do.
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
from partprop.pipeline.failures import clear_failures, last_failure
from partprop.pipeline.sources import update_sources
from partprop.pipeline.splits import require_sequences

if TYPE_CHECKING:
    from dvc.repo import Repo

STAMPS = Path(".snakemake/stages")


@dataclass(frozen=True)
class Stage:
    """A stage of dvc.yaml.

    Attributes:
        name: the name for `dvc repro`, with the shard of a foreach stage (infer@0).
        after: names of the stages whose outputs it reads.
        threads, resources: its `meta`, for Snakemake.
    """

    name: str
    after: tuple[str, ...]
    threads: int = 1
    resources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stamp(self) -> str:
        """The path of the file that exists if the stage is up to date."""
        return _stamp(self.name)

    @property
    def inputs(self) -> list[str]:
        """The stamps of the stages in `after`."""
        return [_stamp(name) for name in self.after]


def prepare(is_main_process: bool) -> list[Stage]:
    """Return the stages to schedule.

    Args:
        is_main_process: first check the parameters and update sources.yaml and the stamps. Not for Snakemake's jobs.

    Raises:
        UserError: params.yaml or dvc.yaml is invalid, or the pipeline is running.
    """
    put_environment_on_path()
    if is_main_process:
        params = load_params(PARAMS)
        require_sequences(params)
        update_sources(params)
    with _open_repo() as repo:
        stages = read_stages(repo)
        if is_main_process:
            update_stamps(stages, stale=find_stale(repo))
            clear_failures()
    return stages


def put_environment_on_path() -> None:
    """Put the programs of this Python's environment first on PATH, as if it were activated."""
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
    """Names of the stages whose command, dependencies, parameters or outputs differ from dvc.lock."""
    return set(repo.status())


def update_stamps(stages: list[Stage], stale: set[str]) -> None:
    """Delete the stamps of stale stages and create those of fresh stages, all with the same modification time."""
    STAMPS.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        stamp = Path(stage.stamp)
        if stage.name in stale:
            stamp.unlink(missing_ok=True)
        else:
            stamp.touch()
            os.utime(stamp, (0, 0))


def repeat_last_failure() -> None:
    """Print the error line of the failed stage again, after Snakemake's last message."""
    line = last_failure()
    if line:
        atexit.register(print, line, file=sys.stderr)


def link_restored_outputs() -> None:
    """Link outputs that DVC restored from its cache to the MLflow runs that made them."""
    from partprop.pipeline.runs import link_restored_outputs as link_restored

    link_restored()


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
    """The process that holds DVC's lock: named in the error while a stage runs, in the lock file between stages."""
    named = re.search(r"PID (\d+)", message)
    return named[1] if named else Path(".dvc/tmp/lock").read_text(encoding="utf-8").strip()


def _stamp(name: str) -> str:
    return str(STAMPS / name)
