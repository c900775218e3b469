"""The one exception that users cause, and that every entry point turns into a single line."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Input that the user can mend.

    The message is one line that names the file or the parameter and says what to do. Commands print it on
    stderr and end with exit code 2, without a traceback.
    """


class DiskFullError(UserError):
    """There is no room for what is to be written."""

    @classmethod
    def of(cls, place: object) -> "DiskFullError":
        """Of a file or folder that cannot be written any further."""
        return cls(f"{place}: the disk is full; make room and run again")


@contextmanager
def full_disk_as_user_error(place: object = None) -> Iterator[None]:
    """Raise a DiskFullError where the block finds no space left to write; it names the place, if that is known."""
    try:
        yield
    except UserError:  # names the file itself
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError.of(place or error.filename or "disk") from None
        if "disk is full" in str(error):  # SQLite's words, in whatever exception MLflow makes of them
            raise DiskFullError.of(place or "mlflow.db") from None
        raise
