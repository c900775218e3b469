"""The inputs of a stage as dvc.lock records them: its command, hashes of its dependencies, its parameters.

DVC restores outputs from its cache by these three, so a run with equal inputs is the one that made the outputs.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Entry = Mapping[str, Any]


def inputs_hash(entry: Entry) -> str:
    """A hash of the inputs in a stage's entry of dvc.lock."""
    inputs = {
        "cmd": entry.get("cmd"),
        "deps": {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])},
        "params": entry.get("params", {}),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def changed_inputs(before: Entry, after: Entry) -> list[str]:
    """The names of dependencies and parameters that differ between two entries of a stage, sorted."""
    first, second = _contents(before), _contents(after)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def planned_entry(stage: str) -> Entry:
    """The entry that a stage about to run will get in dvc.lock, without outputs; empty outside a DVC repository."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    try:
        with Repo(_wait_for_lock=True) as repo:
            with repo.lock:  # another stage may be writing dvc.lock
                planned = repo.stage.load_one(name=stage)
            planned.save_deps(allow_missing=True)
            planned.outs = []
            return to_single_stage_lockfile(planned)
    except NotDvcRepoError:
        return {}


def _contents(entry: Entry) -> dict[str, Any]:
    parameters = {key: value for keys in entry.get("params", {}).values() for key, value in keys.items()}
    return {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])} | parameters


def reproduced_entries() -> dict[str, Entry] | None:
    """The entries of dvc.lock by stage name; None unless DVC reports that all stages are up to date."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    try:
        with Repo() as repo:
            if repo.status():
                return None
            return {stage.addressing: to_single_stage_lockfile(stage) for stage in repo.index.stages}
    except DvcException:  # not a repository, or the pipeline is running
        return None
