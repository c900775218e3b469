"""The git commit of the running code."""

import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class CodeVersion:
    """A git commit (40 hex digits), and whether the code on disk differs from it."""

    commit: str
    modified: bool


def code_version() -> CodeVersion | None:
    """The commit of the working directory; None if it is not a git checkout or has no commit.

    Only src/ and dvc.yaml count as code: dvc.lock and reports/ differ from the commit after every run.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--", "src", "dvc.yaml")
    except (OSError, subprocess.CalledProcessError):
        return None
    return CodeVersion(commit=commit, modified=bool(changes))


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
