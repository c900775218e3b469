"""The exceptions for errors that the user can fix; every entry point prints them as a single line."""


class UserError(Exception):
    """An input that the user can fix.

    The message is one line: the file or parameter, the problem, and what to do. Commands print it on stderr and exit
    with code 2, without a traceback.
    """


class DiskFullError(UserError):
    """The disk has no room for what is being written."""

    @classmethod
    def of(cls, place: object) -> "DiskFullError":
        """The error for a file or folder that could not be written to the end."""
        return cls(f"{place}: the disk is full; make room and run again")
