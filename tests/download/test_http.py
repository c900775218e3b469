import errno
import hashlib
from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.download.http import PATIENCE, fetch

CONTENT = bytes(range(256)) * 1000
PATH = "/folder/file.zip"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache/file.zip"


def test_downloads_in_one_request(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    fetch(host.url + PATH, target, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert target.read_bytes() == CONTENT
    assert host.requests == [(PATH, None)]
    fetch(host.url + PATH, target)
    assert len(host.requests) == 1


def test_resumes_where_the_connection_was_cut(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.cuts = [1000, 2000]
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT
    assert host.ranges_asked() == [None, "bytes=1000-", "bytes=3000-"]


def test_a_later_process_resumes_what_is_left(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.cuts = [1000] + [0] * PATIENCE
    with pytest.raises(UserError, match="1000 bytes that arrived are kept, run again to resume") as caught:
        fetch(host.url + PATH, target)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    assert len(host.requests) == PATIENCE
    host.cuts.clear()
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT
    assert host.ranges_asked()[-1] == "bytes=1000-"


def test_begins_anew_if_the_server_ignores_ranges(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.ranges = False
    host.cuts = [1000]
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT
    assert host.ranges_asked() == [None, "bytes=1000-"]


def test_begins_anew_if_the_file_changed_in_between(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.cuts = [1000] + [0] * PATIENCE
    with pytest.raises(UserError):
        fetch(host.url + PATH, target)
    host.files[PATH], host.version = CONTENT[::-1], '"2"'
    host.cuts.clear()
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT[::-1]


def test_a_complete_part_needs_no_bytes(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    target.parent.mkdir()
    target.with_name("file.zip.part").write_bytes(CONTENT)  # the process was killed just before the renaming
    fetch(host.url + PATH, target, sha256=hashlib.sha256(CONTENT).hexdigest())
    assert target.read_bytes() == CONTENT
    assert host.ranges_asked() == [f"bytes={len(CONTENT)}-"]


def test_a_part_that_is_too_long_is_dropped(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    target.parent.mkdir()
    target.with_name("file.zip.part").write_bytes(CONTENT + b"more")
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT


def test_passing_failures_of_the_server_are_tried_again(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    host.failures = [503, 429]
    fetch(host.url + PATH, target)
    assert target.read_bytes() == CONTENT


def test_a_missing_file_is_not_tried_again(host, target: Path) -> None:
    with pytest.raises(UserError, match="404"):
        fetch(host.url + PATH, target)
    assert len(host.requests) == 1


def test_a_server_that_is_not_there(host, target: Path) -> None:
    with pytest.raises(UserError, match="Connection refused"):
        fetch("http://127.0.0.1:9/file.zip", target)


def test_wrong_length_is_refused_before_the_transfer(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    with pytest.raises(UserError, match="256000 bytes, the official file has 7"):
        fetch(host.url + PATH, target, 7)
    assert not list(target.parent.glob("*.part"))


def test_wrong_checksum_leaves_nothing(host, target: Path) -> None:
    host.files[PATH] = CONTENT
    with pytest.raises(UserError, match="wrong checksum"):
        fetch(host.url + PATH, target, sha256="0" * 64)
    assert not target.exists()
    assert not list(target.parent.glob("*.part"))


def test_no_room_for_the_announced_length(host, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

    monkeypatch.setattr("partprop.download.http._note_version", full)
    with pytest.raises(UserError, match="the disk is full"):
        fetch(host.url + PATH, target)
    assert not target.exists()
