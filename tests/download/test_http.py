"""Downloads: resumed, verified, and restarted when necessary."""

import errno
import hashlib
from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.download.http import MAX_FAILURES, fetch

CONTENT = bytes(range(256)) * 1000
PATH = "/folder/file.zip"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache/file.zip"


def test_a_download_takes_one_request(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    fetch(host.url + PATH, target, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert target.read_bytes() == CONTENT
    assert host.requests == [(PATH, None)]
    fetch(host.url + PATH, target)
    assert len(host.requests) == 1


def test_a_lost_connection_is_resumed(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.cuts = [1000, 2000]
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT
    assert host.requested_ranges() == [None, "bytes=1000-", "bytes=3000-"]


def test_a_later_process_resumes_a_partial_file(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.cuts = [1000] + [0] * MAX_FAILURES
    with pytest.raises(UserError, match="1000 bytes are kept; run again to resume") as caught:
        fetch(host.url + PATH, target)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    assert len(host.requests) == MAX_FAILURES
    host.cuts.clear()
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT
    assert host.requested_ranges()[-1] == "bytes=1000-"


def test_the_download_restarts_if_the_server_ignores_ranges(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.ranges = False
    host.cuts = [1000]
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT
    assert host.requested_ranges() == [None, "bytes=1000-"]


def test_the_download_restarts_if_the_file_has_changed(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.cuts = [1000] + [0] * MAX_FAILURES
    with pytest.raises(UserError):
        fetch(host.url + PATH, target)
    host.files[PATH], host.version = CONTENT[::-1], '"2"'
    host.cuts.clear()
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT[::-1]


def test_a_complete_partial_file_is_not_downloaded_again(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    target.parent.mkdir()
    target.with_name("file.zip.part").write_bytes(CONTENT)  # the process was killed just before renaming it
    fetch(host.url + PATH, target, sha256=hashlib.sha256(CONTENT).hexdigest())
    assert target.read_bytes() == CONTENT
    assert host.requested_ranges() == [f"bytes={len(CONTENT)}-"]


def test_a_partial_file_that_is_too_long_is_discarded(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    target.parent.mkdir()
    target.with_name("file.zip.part").write_bytes(CONTENT + b"more")
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT


def test_temporary_server_errors_are_retried(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.failures = [503, 429]
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT


def test_a_missing_file_is_not_retried(host, target: Path) -> None:
    with pytest.raises(UserError, match="404"):
        fetch(host.url + PATH, target)
    assert len(host.requests) == 1


def test_an_unreachable_server(host, target: Path) -> None:
    with pytest.raises(UserError, match="Connection refused"):
        fetch("http://127.0.0.1:9/file.zip", target)


def test_wrong_length_is_refused_before_the_transfer(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    with pytest.raises(UserError, match="256000 bytes, the official file has 7"):
        fetch(host.url + PATH, target, 7)
    assert not list(target.parent.glob("*.part"))


def test_a_wrong_checksum_leaves_no_file(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    with pytest.raises(UserError, match="wrong checksum"):
        fetch(host.url + PATH, target, sha256="0" * 64)
    assert not target.exists()
    assert not list(target.parent.glob("*.part"))


def test_a_disk_too_small_for_the_announced_length(host, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files[PATH] = CONTENT
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("partprop.base.disk.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match="make room"):
        fetch(host.url + PATH, target)
    assert not target.exists()


def test_a_disk_that_fills_up(host, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host.files[PATH] = CONTENT

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("partprop.download.http._save_version", full)
    with pytest.raises(UserError, match="the disk is full"):
        fetch(host.url + PATH, target)
    assert not target.exists()
