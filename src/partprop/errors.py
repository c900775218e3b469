"""The one exception that users cause, and that every entry point turns into a single line."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Input that the user can mend.

    The message is one line that names the file or the parameter and says what to do. Commands print it on
    stderr and end with exit code 2, without a traceback.
    """


@contextmanager
def full_disk_as_user_error() -> Iterator[None]:
    """Raise a UserError where the block finds no space left to write."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{error.filename or 'disk'}: the disk is full; make room and run again") from None
        if "disk is full" in str(error):  # SQLite's words, in whatever exception MLflow makes of them
            raise UserError("mlflow.db: the disk is full; make room and run again") from None
        raise
