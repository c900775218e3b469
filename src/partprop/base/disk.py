"""Free space checked before large writes, and errors of the disk turned into one line for the user."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partprop.base.errors import DiskFullError, UserError


def require_space(folder: Path, size: int) -> None:
    """Check that `size` bytes fit on the disk that holds an existing folder.

    Raises:
        DiskFullError: they do not.
    """
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DiskFullError(f"{folder}: needs {_gigabytes(size)}, {_gigabytes(free)} are free; make room and run again")


@contextmanager
def full_disk_as_user_error(place: object = None) -> Iterator[None]:
    """Raise a DiskFullError if the block runs out of disk space.

    Args:
        place: named in the message; by default the file that the error names.
    """
    try:
        yield
    except UserError:  # already names its file
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError.of(place or error.filename or "disk") from None
        if "disk is full" in str(error):  # SQLite's message, inside whatever exception MLflow raises
            raise DiskFullError.of(place or "mlflow.db") from None
        raise


@contextmanager
def os_errors_as_user_errors(
    place: Path, *, hide_filename: bool = False, remedy: str = "fix this and run again"
) -> Iterator[None]:
    """Raise a UserError for any OSError of the block, a DiskFullError if the disk is full.

    Args:
        place: named in the message unless the error itself names a file.
        hide_filename: always name `place`: for temporary files, whose names mean nothing to the user.
        remedy: the end of the message.
    """
    try:
        with full_disk_as_user_error(place):
            yield
    except OSError as error:
        named = place if hide_filename else error.filename or place
        raise UserError(f"{named}: {error.strerror or error}; {remedy}") from None


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"
