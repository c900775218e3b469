"""The cache folder for partial downloads and training checkpoints, which survive a killed stage."""

import os
from pathlib import Path

from partprop.base.errors import UserError


def cache_folder() -> Path:
    """The cache folder: `PARTPROP_CACHE`, by default partprop/ in the user's cache folder. Created if it is missing.

    It is outside the outputs of the stages, since DVC deletes those before a stage runs.

    Raises:
        UserError: the folder cannot be created.
    """
    configured = os.environ.get("PARTPROP_CACHE")
    user_caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(configured).expanduser().absolute() if configured else Path(user_caches) / "partprop"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be created ({error.strerror}); set PARTPROP_CACHE to a writable folder"
        ) from None
    return folder
