"""What dvc.yaml declares about a stage, and a view of the parameters that is limited to what it declares.

DVC reruns a stage only when one of its declared parameters changes, so a stage must not read any other.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from partprop.base.errors import UserError
from partprop.base.paths import SOURCES
from partprop.base.yaml_files import read_yaml
from partprop.params import Params

Key = tuple[str, ...]


@dataclass(frozen=True)
class Declaration:
    """The entry of a stage in dvc.yaml, as far as running the stage needs it.

    Attributes:
        keys: dotted keys of params.yaml under `params`.
        reads_sources: whether `params` also lists keys of sources.yaml.
        foreach: of a foreach stage, its list or `${key}` of one in params.yaml; None for other stages.
        meta_threads: `meta.threads`, a number or `${key}` of one in params.yaml; Snakemake reserves as many cores.
    """

    keys: tuple[str, ...]
    reads_sources: bool
    foreach: str | Sequence[int] | None
    meta_threads: str | int

    def shards(self, params: Params) -> list[int] | None:
        """The shards of a foreach stage; None for other stages."""
        return None if self.foreach is None else list(_resolve(params, self.foreach))

    def threads(self, params: "Params | DeclaredParams") -> int:
        """The number of threads that the stage computes with."""
        return int(_resolve(params, self.meta_threads))


def read_declaration(stage: str, path: Path) -> Declaration:
    """Read the entry of a stage in dvc.yaml.

    Args:
        stage: the stage's name, for a foreach stage without its shard.
        path: dvc.yaml.

    Raises:
        UserError: the file cannot be read or has no such stage.
    """
    stages = read_yaml(path)["stages"]
    if stage not in stages:
        raise UserError(f"{path}: no stage {stage}; choose one of {', '.join(stages)}")
    entry = stages[stage].get("do", stages[stage])
    listed = entry.get("params", [])
    return Declaration(
        keys=tuple(key for key in listed if isinstance(key, str)),
        reads_sources=any(isinstance(key, dict) and str(SOURCES) in key for key in listed),
        foreach=stages[stage].get("foreach"),
        meta_threads=entry.get("meta", {}).get("threads", 1),
    )


class DeclaredParams:
    """A read-only view of the parameters that raises on every key that the stage does not declare.

    Args:
        params: all parameters, or a section of them.
        stage: named in the error.
        keys: the declared dotted keys of params.yaml; a section's key covers all keys in it.
        above: the key of the section `params`; empty at the top.
    """

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
        # Not an AttributeError, which getattr and hasattr would swallow.
        raise LookupError(f"stage {self._stage} reads {'.'.join(key)}: add it to the stage's params in dvc.yaml")


def declared_values(params: BaseModel, keys: Iterable[str]) -> dict[str, Any]:
    """The values of the declared keys by dotted key, with sections expanded into their keys."""
    values: dict[str, Any] = {}
    for dotted in keys:
        values |= dict(_leaves(dotted, _value(params, dotted)))
    return values


def _resolve(params: Any, value: Any) -> Any:
    """A value of dvc.yaml, with `${key}` replaced by that parameter."""
    key = re.fullmatch(r"\$\{(.+)\}", value) if isinstance(value, str) else None
    return _value(params, key[1]) if key else value


def _value(params: Any, dotted: str) -> Any:
    for name in dotted.split("."):
        params = getattr(params, name)
    return params


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, BaseModel):
        yield key, value
        return
    for name in type(value).model_fields:
        yield from _leaves(f"{key}.{name}", getattr(value, name))
