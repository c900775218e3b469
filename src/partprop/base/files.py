"""Atomic writes: files and folders get their final name only when they are complete. Tables and JSON."""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from partprop.base.disk import full_disk_as_user_error, os_errors_as_user_errors
from partprop.base.errors import UserError

_output_errors = partial(os_errors_as_user_errors, hide_filename=True, remedy="write to another path")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield the path of an empty temporary file beside `path`, with the same suffix; missing parents are created.

    If the block succeeds, the temporary file is renamed to `path`, else it is deleted and `path` stays as it was.

    Raises:
        UserError: `path` cannot be written; DiskFullError if the disk is full, also inside the block.
    """
    temporary = path.with_name(f".{path.name}-part{path.suffix}")
    try:
        with _output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove(temporary)
            temporary.touch()
        with full_disk_as_user_error(path):
            yield temporary
        with _output_errors(path):
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; missing parents are created.

    If the block succeeds, the temporary folder replaces `path`, else it is deleted and `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-part")
    _remove(temporary)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented JSON with a final newline."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header row. Floats keep all their digits, so reading them returns the same numbers.

    File names that are not valid UTF-8 are written byte for byte.
    """
    with atomic_write(path) as temporary, temporary.open("w", -1, "utf-8", "surrogateescape", "") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def read_csv(path: Path, columns: Sequence[str], remedy: str) -> Iterator[Iterator[dict[str, str]]]:
    """Yield the rows of a table with a header row, each as a mapping from column to text.

    Args:
        columns: the columns that the block uses; they are named in the error.
        remedy: the end of the error message.

    Raises:
        UserError: the file is missing or unreadable, or the block raised because a column is missing or a value cannot
            be converted.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            yield csv.DictReader(file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected the columns {','.join(columns)} ({error}); {remedy}") from None


def _remove(temporary: Path) -> None:
    """Remove what a killed process left. Each path has one writer at a time, so nobody else uses it."""
    if temporary.is_dir():
        shutil.rmtree(temporary)
    else:
        temporary.unlink(missing_ok=True)
