"""Checkpoints: an interrupted training resumes from its last one, and never from that of another experiment."""

import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from filelock import FileLock, Timeout

from partprop.base.cache import cache_folder
from partprop.base.errors import UserError
from partprop.base.files import atomic_write

TRAINING_CODE = ("base", "data", "metrics", "model", "stages", "tracking", "training")
"""Folders of the package that a training stage depends on in dvc.yaml: a change there starts training afresh. Code that
schedules and logs may change between two runs of the same training."""


class Stateful(Protocol):
    """Something whose state a checkpoint stores: a module, an optimizer, a `History`."""

    def state_dict(self) -> Any:
        """Return the state: tensors, numbers, strings, and containers of these."""
        ...

    def load_state_dict(self, state_dict: Any) -> Any:
        """Restore a state that `state_dict` returned."""
        ...


class Checkpoint:
    """The last state of one training, in a folder outside the stage's outputs.

    The folder is locked while this object exists. On several GPUs, only the first process locks it.

    Args:
        folder: see `checkpoint_folder`.

    Raises:
        UserError: the same training is running in another checkout or in a temporary folder of DVC.
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
        """Replace the last state atomically.

        Args:
            state: tensors, numbers, strings, and containers of these.
        """
        content = io.BytesIO()  # torch.save directly to a full disk does not raise an OSError
        torch.save(dict(state), content)
        with atomic_write(self._file) as temporary:
            temporary.write_bytes(content.getbuffer())

    def load(self) -> dict[str, Any] | None:
        """Return the last state, tensors on the CPU; None if there is no checkpoint.

        Raises:
            UserError: the file is damaged.
        """
        if not self._file.exists():
            return None
        try:
            return torch.load(self._file, map_location="cpu", weights_only=True)
        except Exception as error:  # pickle and zip raise types of their own
            raise UserError(f"{self._file}: damaged ({type(error).__name__}); delete it to train afresh") from None

    def remove(self) -> None:
        """Delete the checkpoint; call it once the outputs are written."""
        shutil.rmtree(self._file.parent, ignore_errors=True)


class Resumable:
    """The parts of a training that its checkpoint stores and restores together.

    Args:
        checkpoint: of this training.
        parts: by their names in the checkpoint, restored in this order.
    """

    def __init__(self, checkpoint: Checkpoint, **parts: Stateful) -> None:
        self._checkpoint = checkpoint
        self._parts = parts

    def resume(self) -> int:
        """Restore all parts from the checkpoint and return the number of steps done; 0 if there is no checkpoint."""
        state = self._checkpoint.load()
        if state is None:
            return 0
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return int(state["step"])

    def save(self, step: int) -> None:
        """Save all parts after `step` steps."""
        self._checkpoint.save({name: part.state_dict() for name, part in self._parts.items()} | {"step": step})


def checkpoint_folder(stage: str, parameters: Mapping[str, Any], inputs: Iterable[Path]) -> Path:
    """Return the folder in the cache for one training, named by a hash of its code, parameters and inputs.

    Args:
        parameters: all parameters that the stage reads.
        inputs: all files and folders that the stage reads.
    """
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode())
    for source in loaded_training_code():
        digest.update(source.read_bytes())
    for path in inputs:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"{file.relative_to(path) if file != path else file.name}".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return cache_folder() / "checkpoints" / f"{stage}-{digest.hexdigest()[:16]}"


def loaded_training_code() -> list[Path]:
    """Return the files of the loaded modules in the folders TRAINING_CODE, sorted by module name."""
    names = sorted(name for name in sys.modules if name.startswith("partprop.") and name.split(".")[1] in TRAINING_CODE)
    files = (getattr(sys.modules[name], "__file__", None) for name in names)
    return [Path(file) for file in files if file]
