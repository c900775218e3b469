"""Which inputs made which outputs, in the terms of dvc.lock: the command, the content of dependencies, the parameters.

DVC restores outputs from its cache by these three, so a run that had the same made the restored outputs.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Entry = Mapping[str, Any]


def inputs_hash(entry: Entry) -> str:
    """One hash of what a stage's entry of dvc.lock says about its inputs."""
    inputs = {
        "cmd": entry.get("cmd"),
        "deps": {dep["path"]: dep.get("md5") for dep in entry.get("deps", [])},
        "params": entry.get("params", {}),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def changed_inputs(before: Entry, after: Entry) -> list[str]:
    """Dependencies and parameters that two entries of a stage have with different content, sorted."""
    first, second = _contents(before), _contents(after)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def planned_entry(stage: str) -> Entry:
    """The entry that dvc.lock will have for a stage that is about to run; empty outside a DVC repository."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    try:
        with Repo(_wait_for_lock=True) as repo:
            with repo.lock:  # a stage beside this one may be writing dvc.lock
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
    """The entries of dvc.lock by stage; None unless DVC can tell that all stages are up to date."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    try:
        with Repo() as repo:
            if repo.status():
                return None
            return {stage.addressing: to_single_stage_lockfile(stage) for stage in repo.index.stages}
    except DvcException:  # no repository, or the pipeline is running
        return None
