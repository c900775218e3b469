"""From `data.<name>.source` to a complete data set on disk: official hosts, mirrors, archives and folders.

Downloads go to the cache folder, so that a killed stage can resume them, and are deleted once the data set is complete.
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
from partprop.download.layouts import Layout, RemoteFile
from partprop.download.trees import ARCHIVE_SUFFIXES, Tree, archive_tree, folder_tree

T = TypeVar("T")


def download(source: str, layout: Layout, target: Path, check: Callable[[Path], T]) -> T:
    """Put a data set into `target`, which is replaced only once the data set is complete and has passed the check.

    Official files are verified by the length and SHA-256 in `layouts`. Files of a mirror are verified by the same
    SHA-256 if they have the official length. Otherwise they are assumed to be a subset made by the mirror's owner, and
    verified like a local archive, by their announced length and the checksums inside the archive.

    Args:
        source: "official", the base URL of a mirror with the official file names, an archive, or a folder. The data
            set may be up to two folders deep.
        layout: the data set and its files.
        target: the folder to replace.
        check: opens the data set in a folder and returns a summary, or raises UserError.

    Returns:
        The summary from `check`.

    Raises:
        UserError: the source does not exist, a download, archive or data set is broken, or the disk is full.
    """
    with os_errors_as_user_errors(target.parent), atomic_folder(target) as folder, _open_source(source, layout) as tree:
        tree.copy(layout, folder)
        try:
            return check(folder)
        except UserError as error:  # name the source: the temporary folder is deleted
            origin = str(Path(tree.where) / tree.root(layout))
            raise UserError(str(error).replace(str(folder), origin)) from None


def source_manifest(source: str, layout: Layout) -> str:
    """A SHA-256 over paths, sizes and dates of a local source, to detect changes; "" for a source that is not local.

    In a folder, the files of the layout count.

    Raises:
        UserError: the folder or archive does not exist.
    """
    if source in ("synthetic", "none") or _remote_urls(source, layout):
        return ""
    path = local_source(source)
    if path.is_file():
        entries = [(path.name, path)]
    else:
        entries = sorted((str(member.path), path / member.path) for member in folder_tree(path, layout).members)
    return stamp(entries)


def stamp(files: Iterable[tuple[str, Path]]) -> str:
    """A SHA-256 over (name, file) pairs: names, sizes and modification times."""
    digest = hashlib.sha256()
    for name, file in files:
        status = file.stat()
        digest.update(os.fsencode(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    return digest.hexdigest()


def local_source(source: str) -> Path:
    """The path of a local source. Relative paths start at the main checkout, also in a DVC experiment's copy.

    Raises:
        UserError: the path does not exist, or is neither a folder nor a supported archive.
    """
    path = in_main_checkout(source)
    if path.is_dir() or (path.is_file() and path.name.endswith(ARCHIVE_SUFFIXES)):
        return path
    if path.exists():
        raise UserError(f"{path}: not a supported archive; use one of {', '.join(ARCHIVE_SUFFIXES)}")
    raise UserError(f"{path}: no such folder or archive; correct the source in params.yaml")


@contextmanager
def _open_source(source: str, layout: Layout) -> Iterator[Tree]:
    if _remote_urls(source, layout):
        with _downloaded(source, layout) as archives, archive_tree(*archives) as tree:
            yield tree
    elif (path := local_source(source)).is_dir():
        yield folder_tree(path, layout)
    else:
        with archive_tree(path) as tree:
            yield tree


def _remote_urls(source: str, layout: Layout) -> list[str]:
    """The URLs of a remote source's files; empty for a local source."""
    if source == "official":
        return [file.url for file in layout.official]
    if source.startswith(("http://", "https://")):
        return [f"{source.rstrip('/')}/{file.name}" for file in layout.official]
    return []


@contextmanager
def _downloaded(source: str, layout: Layout) -> Iterator[list[Path]]:
    """Download the archives of a remote source; delete them when the block ends.

    They are kept if the process is killed or the disk is full. Broken archives are deleted, so that the next run
    downloads them again.
    """
    urls = _remote_urls(source, layout)
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
