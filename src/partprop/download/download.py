"""From `data.<name>.source` to a complete data set on disk: official hosts, mirrors, archives and folders.

Downloads go to the cache folder, where a killed stage finds them again, and are deleted when the data set is in place.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from partprop.base.cache import cache_folder
from partprop.base.disk import os_errors_as_user_errors
from partprop.base.errors import DiskFullError, UserError
from partprop.base.files import atomic_folder
from partprop.base.paths import in_main_checkout
from partprop.download.http import fetch, verify
from partprop.download.layouts import COCO, DAVIS, Layout, RemoteFile
from partprop.download.trees import ARCHIVE_SUFFIXES, Tree, archive_tree, folder_tree

T = TypeVar("T")


def download(source: str, layout: Layout, target: Path, check: Callable[[Path], T]) -> T:
    """Put a data set into `target`, which appears only when it is complete and has passed the check.

    Official files are verified by the length and SHA-256 that `layouts` knows. The files of a mirror are held to the
    same if they have the official length; else they are taken for a selection that the mirror's owner made, and
    verified by the announced length and the checksums inside the archive, as a local archive is.

    Args:
        source: "official", the base URL of a mirror with the official file names, an archive or a folder. The data
            set may lie up to two folders deep.
        layout: what to look for and to take.
        target: the folder to replace.
        check: opens the data set and returns a summary, or raises UserError.

    Returns:
        What `check` returned.

    Raises:
        UserError: no such source, a broken download, archive or data set, or a full disk.
    """
    with os_errors_as_user_errors(target.parent), atomic_folder(target) as folder, _opened(source, layout) as tree:
        tree.copy(layout, folder)
        try:
            return check(folder)
        except UserError as error:  # the temporary folder is gone when the user reads this: name the source
            origin = str(Path(tree.where) / tree.root(layout))
            raise UserError(str(error).replace(str(folder), origin)) from None


def source_manifest(source: str) -> str:
    """A hash that changes when a local source does, from paths, sizes and dates; "" for a source that is not local.

    Raises:
        UserError: there is no such folder or archive.
    """
    if source == "synthetic" or _urls(source, COCO):
        return ""
    path = local_source(source)
    if path.is_file():
        entries = [(path.name, path)]
    else:
        trees = [folder_tree(path, layout) for layout in (COCO, DAVIS[2017])]
        entries = sorted({(str(member.path), path / member.path) for tree in trees for member in tree.members})
    return stamp(entries)


def stamp(files: Iterable[tuple[str, Path]]) -> str:
    """A hash of the names, sizes and dates of files; the names are given beside them."""
    digest = hashlib.sha256()
    for name, file in files:
        status = file.stat()
        digest.update(os.fsencode(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    return digest.hexdigest()


def local_source(source: str) -> Path:
    """The folder or archive that a source names, relative to the main repository wherever the stage runs.

    Raises:
        UserError: there is none.
    """
    path = in_main_checkout(source)
    if path.is_dir() or (path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES)):
        return path
    if path.exists():
        raise UserError(f"{path}: not an archive that can be read; use one of {', '.join(ARCHIVE_SUFFIXES)}")
    raise UserError(f"{path}: no such folder or archive; correct the source in params.yaml")


@contextmanager
def _opened(source: str, layout: Layout) -> Iterator[Tree]:
    if _urls(source, layout):
        with _downloaded(source, layout) as archives, archive_tree(*archives) as tree:
            yield tree
    elif (path := local_source(source)).is_dir():
        yield folder_tree(path, layout)
    else:
        with archive_tree(path) as tree:
            yield tree


def _urls(source: str, layout: Layout) -> list[str]:
    """The addresses of a remote source's files; none for a local source."""
    if source == "official":
        return [file.url for file in layout.official]
    if source.startswith(("http://", "https://")):
        return [f"{source.rstrip('/')}/{file.name}" for file in layout.official]
    return []


@contextmanager
def _downloaded(source: str, layout: Layout) -> Iterator[list[Path]]:
    """The archives of a remote source, deleted when the block is through with them.

    They are kept if this process is killed or the disk is full. Those that turn out broken are deleted, so that the
    next run does not meet them again.
    """
    urls = _urls(source, layout)
    folder = cache_folder() / "downloads" / hashlib.sha256(" ".join(urls).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # two pipelines may share the cache
        archives = [
            _fetch(url, folder, file, source == "official") for url, file in zip(urls, layout.official, strict=True)
        ]
        try:
            yield archives
        except DiskFullError:
            raise
        except UserError:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _fetch(url: str, folder: Path, file: RemoteFile, official: bool) -> Path:
    archive = folder / file.name
    if official:
        fetch(url, archive, file.size, file.sha256)
    else:
        fetch(url, archive)
        if file.sha256 is not None and archive.stat().st_size == file.size:
            verify(url, archive, file.sha256)
    return archive
