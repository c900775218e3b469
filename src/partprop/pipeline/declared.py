"""The parameters that a stage declares in dvc.yaml, and no others: DVC reruns it only when one of these changes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from partprop.base.errors import UserError
from partprop.params import read_yaml

Key = tuple[str, ...]


def declared_keys(stage: str, path: Path) -> list[str]:
    """The dotted keys of params.yaml under `params` of a stage (for a foreach stage, of all its shards).

    Raises:
        UserError: dvc.yaml cannot be read or has no such stage.
    """
    stages = read_yaml(path)["stages"]
    if stage not in stages:
        raise UserError(f"{path}: no stage {stage}; choose one of {', '.join(stages)}")
    entry = stages[stage].get("do", stages[stage])
    return [key for key in entry.get("params", []) if isinstance(key, str)]  # a mapping names keys of another file


class DeclaredParams:
    """A read-only view of the parameters that refuses the keys that a stage does not declare."""

    def __init__(self, params: BaseModel, stage: str, keys: Iterable[str], above: Key = ()) -> None:
        self._params = params
        self._stage = stage
        self._keys = list(keys)
        self._above = above

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._params, name)
        key = (*self._above, name)
        declared = [tuple(dotted.split(".")) for dotted in self._keys]
        if any(key[: len(one)] == one for one in declared):
            return value
        if any(one[: len(key)] == key for one in declared):
            return DeclaredParams(value, self._stage, self._keys, key)
        # No AttributeError, which getattr and hasattr would swallow.
        raise LookupError(f"stage {self._stage} reads {'.'.join(key)}: add it to the stage's params in dvc.yaml")


def declared_values(params: BaseModel, keys: Iterable[str]) -> dict[str, Any]:
    """The values of the declared keys, sections written out, by dotted key."""
    values: dict[str, Any] = {}
    for dotted in keys:
        value: Any = params
        for name in dotted.split("."):
            value = getattr(value, name)
        values |= dict(_leaves(dotted, value))
    return values


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, BaseModel):
        yield key, value
        return
    for name in type(value).model_fields:
        yield from _leaves(f"{key}.{name}", getattr(value, name))
