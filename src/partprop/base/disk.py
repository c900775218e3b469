"""Room on disk: checked before large writes, and one clear line when it runs out all the same."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partprop.base.errors import DiskFullError, UserError, full_disk_as_user_error


def require_space(folder: Path, size: int) -> None:
    """Raise DiskFullError unless `size` bytes fit on the disk of an existing folder."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DiskFullError(f"{folder}: needs {_gigabytes(size)}, {_gigabytes(free)} are free; make room and run again")


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn errors of writing below `folder` into one line; a full disk into DiskFullError."""
    try:
        with full_disk_as_user_error(folder):
            yield
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}; correct it and run again") from None


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
