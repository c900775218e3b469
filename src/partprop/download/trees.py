"""The files of a data set in a folder or in archives, behind one interface: list them, then copy them to a folder."""

import errno
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from partprop.base.disk import require_space
from partprop.base.errors import UserError
from partprop.base.progress import byte_bar
from partprop.download.layouts import Layout

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

# Raised by zipfile and tarfile on archives that are truncated, overwritten, encrypted or of an unknown kind.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class CorruptArchiveError(UserError):
    """An archive is corrupt or cannot be read completely."""


@dataclass(frozen=True)
class Member:
    """A file of a source.

    Attributes:
        path: relative to the source.
        size: in bytes.
        origin: the archive that holds it, or the file itself.
        open: opens it for reading.
    """

    path: PurePosixPath
    size: int
    origin: Path
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True)
class Tree:
    """The files of a source.

    Attributes:
        where: name of the source in messages.
        members: its files, in the order of fastest reading.
    """

    where: str
    members: tuple[Member, ...]

    def copy(self, layout: Layout, folder: Path) -> None:
        """Copy the files of a layout into an existing folder, which becomes the root of the data set.

        Raises:
            UserError: the source does not hold the data set, an archive is corrupt, or the disk is too small.
        """
        root = self.root(layout)
        chosen = [
            (member, relative)
            for member in self.members
            if member.path.is_relative_to(root) and layout.takes(relative := member.path.relative_to(root))
        ]
        total = sum(member.size for member, _ in chosen)
        require_space(folder, total)
        with byte_bar(f"copying {layout.name}", total) as advance:
            for member, relative in chosen:
                target = folder / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                with _archive_errors(member.origin), member.open() as reader, target.open("wb") as writer:
                    shutil.copyfileobj(reader, writer)
                advance(member.size)

    def root(self, layout: Layout) -> PurePosixPath:
        """The path of the data set's root in the source.

        Raises:
            UserError: there is no root, or more than one.
        """
        return layout.root((member.path for member in self.members), self.where)


def folder_tree(folder: Path, layout: Layout) -> Tree:
    """The files of a layout in a folder, at its top or up to two folders below. Links are followed."""
    found = {
        file for depth in ("", "*/", "*/*/") for pattern in layout.patterns for file in folder.glob(depth + pattern)
    }
    members = (
        Member(PurePosixPath(file.relative_to(folder)), file.stat().st_size, file, partial(_open_file, file))
        for file in sorted(found)
        if file.is_file()
    )
    return Tree(str(folder), tuple(member for member in members if _visible(member.path)))


def _open_file(file: Path) -> IO[bytes]:
    return file.open("rb")


@contextmanager
def archive_tree(*archives: Path) -> Iterator[Tree]:
    """Open archives that together hold a data set.

    Raises:
        UserError: an archive is corrupt, or a member is a link, a device or has a path outside the target folder.
    """
    with ExitStack() as stack:
        members: list[Member] = []
        for archive in archives:
            with _archive_errors(archive):
                if archive.suffix == ".zip":
                    members += _zip_members(archive, stack.enter_context(zipfile.ZipFile(archive)))
                else:
                    members += _tar_members(archive, stack.enter_context(tarfile.open(archive)))
        yield Tree(", ".join(map(str, archives)), tuple(member for member in members if _visible(member.path)))


def _zip_members(archive: Path, opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        path = _inside(archive, info.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UserError(
                f"{archive}: refused, its member {info.filename} is a link; use an archive of regular files"
            )
        if not info.is_dir():
            yield Member(path, info.file_size, archive, partial(opened.open, info))


def _tar_members(archive: Path, opened: tarfile.TarFile) -> Iterator[Member]:
    for info in opened:
        path = _inside(archive, info.name)
        if not (info.isfile() or info.isdir()):
            raise UserError(
                f"{archive}: refused, its member {info.name} is not a regular file; use an archive of regular files"
            )
        if info.isfile():
            yield Member(path, info.size, archive, partial(_open_tar_member, opened, info))


def _open_tar_member(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    reader = opened.extractfile(info)
    assert reader is not None  # None only for members that are not regular files
    return reader


def _inside(archive: Path, name: str) -> PurePosixPath:
    windows = PureWindowsPath(name)  # handles both kinds of slashes, and drives
    if windows.anchor or ".." in windows.parts:
        raise UserError(
            f"{archive}: refused, its member {name} is outside the target folder; use an archive without such names"
        )
    return PurePosixPath(name)


def _visible(path: PurePosixPath) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)  # added by macOS


@contextmanager
def _archive_errors(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*_ARCHIVE_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (
            None,
            errno.EINVAL,
        ):  # EINVAL: an invalid offset in the archive; other errors come from the disk
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorruptArchiveError(f"{archive}: corrupt archive ({reason}); fetch it again") from None
