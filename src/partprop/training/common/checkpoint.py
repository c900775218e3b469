"""Checkpoints that let a killed training go on where it was, and never in another experiment's place."""

import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from partprop.base.cache import cache_folder
from partprop.base.errors import UserError
from partprop.base.files import atomic_write


class Checkpoint:
    """The last state of one training, in a folder of its own outside the stage's outputs.

    Nobody else has it until this object is gone; the further processes of a training on several GPUs share it.

    Args:
        folder: as of `checkpoint_folder`.

    Raises:
        UserError: the same training runs in another checkout, or in another folder of DVC's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "last.pt"
        if os.environ.get("LOCAL_RANK", "0") == "0":
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder.with_suffix(".lock"), is_singleton=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise UserError(
                    f"{folder}: the same training is running elsewhere; wait for it, or set PARTPROP_CACHE to another "
                    "folder to train twice"
                ) from None

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the last state; tensors, numbers, strings and containers of these only."""
        content = io.BytesIO()  # torch.save to a full disk is not an OSError
        torch.save(dict(state), content)
        with atomic_write(self._file) as temporary:
            temporary.write_bytes(content.getbuffer())

    def load(self) -> dict[str, Any] | None:
        """The last state; None where training has not begun.

        Raises:
            UserError: the file is damaged.
        """
        if not self._file.exists():
            return None
        try:
            return torch.load(self._file, map_location="cpu", weights_only=True)
        except Exception as error:  # pickle and zip raise their own types
            raise UserError(f"{self._file}: damaged ({type(error).__name__}); delete it to train anew") from None

    def remove(self) -> None:
        """Delete it, once the outputs are written."""
        shutil.rmtree(self._file.parent, ignore_errors=True)


def checkpoint_folder(stage: str, parameters: Mapping[str, Any], inputs: Iterable[Path]) -> Path:
    """A folder in the cache for this very training: named by a hash of code, parameters and inputs.

    Args:
        parameters: all that the stage reads.
        inputs: files and folders that the stage reads.
    """
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for source in _loaded_sources():
        digest.update(source.read_bytes())
    for path in inputs:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file.relative_to(path) if file != path else file.name}".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return cache_folder() / "checkpoints" / f"{stage}-{digest.hexdigest()[:16]}"


def _loaded_sources() -> list[Path]:
    """The files of this package that decide what training gives; what logs and schedules it may change meanwhile."""
    deciding = (
        "partprop.data",
        "partprop.metrics",
        "partprop.model",
        "partprop.stages",
        "partprop.tracking",
        "partprop.training",
    )
    names = sorted(name for name in sys.modules if name.startswith(deciding))
    files = (getattr(sys.modules[name], "__file__", None) for name in names)
    return [Path(file) for file in files if file]
