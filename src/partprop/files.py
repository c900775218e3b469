"""Files and folders that appear under their final name only when they are complete."""

import csv
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from partprop.errors import DiskFullError, UserError, is_disk_full


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file path beside `path`; rename it to `path` if the block succeeds, else delete it.

    Raises:
        DiskFullError: the block found no space left to write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    temporary.touch()
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError.of(path) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it replaces `path` if the block succeeds, else it is deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
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
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with a header; floats in full, so that reading them gives the same numbers."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def reading_csv(path: Path, columns: Sequence[str], remedy: str) -> Iterator[Iterator[dict[str, str]]]:
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


def _temporary(path: Path) -> Path:
    """A name beside `path`, cleared of what a process that was killed left there; a path has one writer at a time."""
    temporary = path.with_name(f".{path.name}-part{path.suffix}")
    if temporary.is_dir():
        shutil.rmtree(temporary)
    else:
        temporary.unlink(missing_ok=True)
    return temporary
