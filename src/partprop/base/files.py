"""Files and folders that appear under their final name only when they are complete."""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from partprop.base.errors import UserError, full_disk_as_user_error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file path beside `path`; rename it to `path` if the block succeeds, else delete it.

    Raises:
        UserError: `path` cannot be written; DiskFullError where there is no space left, also in the block.
    """
    temporary = path.with_name(f".{path.name}-part{path.suffix}")
    try:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(temporary)
            temporary.touch()
        with full_disk_as_user_error(path):
            yield temporary
        with _writing(path):
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` if the block succeeds, else it is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-part")
    _clear(temporary)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON, with a newline at the end."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header; floats in full, so that reading them gives the same numbers.

    Names of files that are in no encoding are written as they are.
    """
    with atomic_write(path) as temporary, temporary.open("w", -1, "utf-8", "surrogateescape", "") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def read_csv(path: Path, columns: Sequence[str], remedy: str) -> Iterator[Iterator[dict[str, str]]]:
    """Yield the rows of a table with a header.

    Raises:
        UserError: the file is missing or unreadable, or the block did not find its columns or could not convert what
            they hold; the line names the file and `columns`, and ends with the `remedy`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield csv.DictReader(file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected the columns {','.join(columns)} ({error}); {remedy}") from None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise a UserError that names `path` where the operating system refuses something."""
    try:
        with full_disk_as_user_error(path):
            yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); name another place") from None


def _clear(temporary: Path) -> None:
    """Remove what a process that was killed left; a path has one writer at a time."""
    if temporary.is_dir():
        shutil.rmtree(temporary)
    else:
        temporary.unlink(missing_ok=True)
