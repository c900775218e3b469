"""A hash of the content of a data set, logged with each run."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Manifest:
    """Number of files, their total bytes, and a SHA-256 over their sorted relative paths and contents."""

    files: int
    bytes: int
    sha256: str


def manifest(root: Path) -> Manifest:
    """Compute the manifest of all files below a folder."""
    digest = hashlib.sha256()
    files = sorted(file for file in root.rglob("*") if file.is_file())
    size = 0
    for file in files:
        with file.open("rb") as reader:
            content = hashlib.file_digest(reader, "sha256").hexdigest()
        digest.update(os.fsencode(file.relative_to(root)) + b"\0" + content.encode() + b"\n")
        size += file.stat().st_size
    return Manifest(len(files), size, digest.hexdigest())
