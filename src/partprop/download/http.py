"""Downloads that survive lost connections and killed processes: resumed by range requests, then verified."""

import hashlib
import re
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from partprop.base.disk import os_errors_as_user_errors, require_space
from partprop.base.errors import UserError
from partprop.base.progress import byte_bar

if TYPE_CHECKING:
    from requests import Response

MAX_FAILURES = 5  # attempts in a row without any new byte before giving up
FIRST_PAUSE = 1.0  # seconds before the second attempt; doubled for each further one
TIMEOUT = 30.0  # seconds without a response or a byte
CHUNK = 1 << 20  # bytes


class _TransferError(Exception):
    """The transfer stopped early, for a possibly temporary reason."""


def fetch(url: str, target: Path, size: int | None = None, sha256: str | None = None, show: bool = True) -> None:
    """Download a file; `target` exists only once it is complete and verified.

    Received bytes are kept in `<target>.part`. This call resumes after a lost connection, the next call after a killed
    process. The download restarts if the file has changed on the server in between.

    Args:
        url: http or https.
        target: path of the file; if it exists, nothing is downloaded.
        size: expected length in bytes, compared before the transfer; None if unknown.
        sha256: expected checksum in hexadecimal; None verifies only the announced length.
        show: a progress bar.

    Raises:
        UserError: the server refuses, the connection keeps failing, length or checksum differ, or the disk is full.
    """
    if target.exists():
        return
    with os_errors_as_user_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        _complete(url, part, size, show)
        if sha256 is not None:
            verify(url, part, sha256)
        part.replace(target)
        _version(part).unlink(missing_ok=True)


def verify(url: str, file: Path, sha256: str) -> None:
    """Raise UserError and delete the file if its SHA-256 differs."""
    with file.open("rb") as reader:
        found = hashlib.file_digest(reader, "sha256").hexdigest()
    if found != sha256:
        file.unlink()
        raise UserError(
            f"{url}: wrong checksum (SHA-256 {found}, expected {sha256}), file deleted; run again or use another source"
        )


def _complete(url: str, part: Path, size: int | None, show: bool) -> None:
    """Transfer until `part` holds the whole file; retry as long as attempts bring new bytes."""
    failures = 0
    while True:
        before = _length(part)
        try:
            return _transfer(url, part, size, show)
        except _TransferError as error:
            failures = 1 if _length(part) > before else failures + 1
            if failures == MAX_FAILURES:
                raise UserError(
                    f"{url}: the download failed ({error}), {_length(part)} bytes are kept; run again to resume"
                ) from None
            time.sleep(FIRST_PAUSE * 2 ** (failures - 1))


def _transfer(url: str, part: Path, size: int | None, show: bool) -> None:
    """Send one request: append the missing bytes to `part`, or restart if the server cannot resume."""
    import requests  # here, because the pipeline's scheduler imports this package but downloads nothing
    from urllib3.exceptions import HTTPError

    start = _length(part)
    try:
        with requests.get(url, headers=_headers(part, start), stream=True, timeout=TIMEOUT) as response:
            if response.status_code == 416 and start == _range(response)[1]:
                return
            resumed = response.status_code == 206
            if response.status_code == 416 or (resumed and _range(response)[0] != start):
                part.unlink()
                raise _TransferError("the server cannot resume")
            _raise_for_status(url, response)
            length = response.headers.get("Content-Length")
            total = _range(response)[1] if resumed else int(length) if length else None
            if size is not None and total not in (None, size):
                raise UserError(f"{url}: has {total} bytes, the official file has {size}; use another source")
            if not resumed:
                start = 0
                _save_version(part, response)
            require_space(part.parent, (total or 0) - start)
            bar = byte_bar(part.stem, total, start) if show else nullcontext(lambda amount: None)
            with bar as advance, part.open("ab" if resumed else "wb") as writer:
                # read1, because read drops bytes received before the connection is lost
                while chunk := response.raw.read1(CHUNK):
                    writer.write(chunk)
                    advance(len(chunk))
    except (requests.RequestException, HTTPError) as error:
        raise _TransferError(_reason(error)) from None
    if total is not None and _length(part) < total:
        raise _TransferError(f"{total} bytes were announced")


def _headers(part: Path, start: int) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if _version(part).exists():
            headers["If-Range"] = _version(part).read_text(encoding="utf-8")
    return headers


def _save_version(part: Path, response: "Response") -> None:
    """Save the validator for If-Range: a strong ETag, or else the modification date."""
    tag = response.headers.get("ETag", "")
    version = response.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
    _version(part).unlink(missing_ok=True)
    if version:
        _version(part).write_text(version, encoding="utf-8")


def _version(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _range(response: "Response") -> tuple[int | None, int | None]:
    """First byte and total length from a Content-Range header; None for values it does not state."""
    parsed = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    first, total = parsed.groups() if parsed else (None, None)
    return int(first) if first else None, int(total) if total and total != "*" else None


def _raise_for_status(url: str, response: "Response") -> None:
    if response.status_code >= 500 or response.status_code == 429:
        raise _TransferError(f"the server responds {response.status_code} {response.reason}")
    if response.status_code != 200 and response.status_code != 206:
        raise UserError(
            f"{url}: the server responds {response.status_code} {response.reason}; check the address of the source"
        )


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _reason(error: BaseException) -> str:
    """The message of the innermost cause, such as "Connection refused", without the layers around it."""
    while error.__context__ is not None:
        error = error.__context__
    return " ".join(str(error).split()) or type(error).__name__
