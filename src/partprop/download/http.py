"""Downloads that survive cut connections and killed processes: resumed by range, verified, renamed when complete."""

import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from partprop.base.disk import os_errors_as_user_errors, require_space
from partprop.base.errors import UserError
from partprop.base.progress import byte_bar

if TYPE_CHECKING:
    from requests import Response

PATIENCE = 5  # tries in a row that bring nothing new before giving up
FIRST_PAUSE = 1.0  # seconds before the second try; doubled each time
TIMEOUT = 30.0  # seconds without an answer or a byte
CHUNK = 1 << 20


class _CutError(Exception):
    """The transfer stopped early, for a reason that may pass."""


def fetch(url: str, target: Path, size: int | None = None, sha256: str | None = None) -> None:
    """Download a file; `target` exists only once it is complete and verified.

    What arrives is kept in `<target>.part` and resumed, after a cut within this call and after a kill by the next one.
    A file that changed on the server in between is begun anew.

    Args:
        url: http or https.
        target: where to put the file; if it exists, nothing is done.
        size: the expected length in bytes, compared before the transfer.
        sha256: the expected checksum in hexadecimal; without one the announced length alone is verified.

    Raises:
        UserError: the server refuses, the connection keeps breaking, the file is not the expected one, or the disk is
            full.
    """
    if target.exists():
        return
    with os_errors_as_user_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        _complete(url, part, size)
        if sha256 is not None:
            verify(url, part, sha256)
        part.replace(target)


def verify(url: str, file: Path, sha256: str) -> None:
    """Delete a downloaded file and raise UserError unless it has the checksum."""
    with file.open("rb") as reader:
        found = hashlib.file_digest(reader, "sha256").hexdigest()
    if found != sha256:
        file.unlink()
        raise UserError(
            f"{url}: wrong checksum (SHA-256 {found}, not {sha256}); deleted, run again or use another source"
        )


def _complete(url: str, part: Path, size: int | None) -> None:
    """Transfer until `part` holds the whole file, trying again while tries bring something new."""
    failures = 0
    while True:
        before = _length(part)
        try:
            return _transfer(url, part, size)
        except _CutError as error:
            failures = 1 if _length(part) > before else failures + 1
            if failures == PATIENCE:
                raise UserError(
                    f"{url}: the download failed ({error}); the {_length(part)} bytes that arrived are kept, "
                    "run again to resume"
                ) from None
            time.sleep(FIRST_PAUSE * 2 ** (failures - 1))


def _transfer(url: str, part: Path, size: int | None) -> None:
    """One request: append what is missing to `part`, or begin anew if the server cannot resume."""
    import requests  # here, since the pipeline's scheduler imports this package and downloads nothing
    from urllib3.exceptions import HTTPError

    start = _length(part)
    try:
        with requests.get(url, headers=_headers(part, start), stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416 and start == _range(answer)[1]:
                return
            resumed = answer.status_code == 206
            if answer.status_code == 416 or (resumed and _range(answer)[0] != start):
                part.unlink()
                raise _CutError("the server cannot resume")
            _refuse_failure(url, answer)
            length = answer.headers.get("Content-Length")
            total = _range(answer)[1] if resumed else int(length) if length else None
            if size is not None and total not in (None, size):
                raise UserError(f"{url}: has {total} bytes, the official file has {size}; use another source")
            if not resumed:
                start = 0
                _note_version(part, answer)
            require_space(part.parent, (total or 0) - start)
            with byte_bar(part.stem, total, start) as advance, part.open("ab" if resumed else "wb") as writer:
                # read1, because read drops what came before a cut
                while chunk := answer.raw.read1(CHUNK):
                    writer.write(chunk)
                    advance(len(chunk))
    except (requests.RequestException, HTTPError) as error:
        raise _CutError(_reason(error)) from None
    if total is not None and _length(part) < total:
        raise _CutError(f"{total} bytes were announced")


def _headers(part: Path, start: int) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if _version(part).exists():
            headers["If-Range"] = _version(part).read_text(encoding="utf-8")
    return headers


def _note_version(part: Path, answer: "Response") -> None:
    """Keep what tells this version of the file from a later one; If-Range takes no weak ETag."""
    tag = answer.headers.get("ETag", "")
    version = answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
    _version(part).unlink(missing_ok=True)
    if version:
        _version(part).write_text(version, encoding="utf-8")


def _version(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _range(answer: "Response") -> tuple[int | None, int | None]:
    """First byte and total length from a Content-Range header; None where it does not say."""
    parsed = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", ""))
    first, total = parsed.groups() if parsed else (None, None)
    return int(first) if first else None, int(total) if total and total != "*" else None


def _refuse_failure(url: str, answer: "Response") -> None:
    if answer.status_code >= 500 or answer.status_code == 429:
        raise _CutError(f"the server answers {answer.status_code} {answer.reason}")
    if answer.status_code != 200 and answer.status_code != 206:
        raise UserError(f"{url}: the server answers {answer.status_code} {answer.reason}; check the source's address")


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: BaseException) -> str:
    """The innermost cause: "Connection refused" rather than the layers that passed it on."""
    while error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split()) or type(error).__name__
