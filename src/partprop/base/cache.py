"""The folder for what outlives a killed stage: partial downloads and training checkpoints."""

import os
from pathlib import Path

from partprop.base.errors import UserError


def cache_folder() -> Path:
    """`PARTPROP_CACHE`, or partprop/ in the user's cache folder; made if need be.

    It lies outside the stages' outputs, since DVC deletes those before a stage runs.

    Raises:
        UserError: the folder cannot be made.
    """
    configured = os.environ.get("PARTPROP_CACHE")
    user_caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(configured).expanduser().absolute() if configured else Path(user_caches) / "partprop"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be made ({error.strerror}); set PARTPROP_CACHE to a folder that can be written"
        ) from None
    return folder
