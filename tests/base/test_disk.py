"""Errors of the disk become one line for the user."""

import errno
from pathlib import Path

import pytest

from partprop.base.disk import full_disk_as_user_error, os_errors_as_user_errors, require_space
from partprop.base.errors import DiskFullError, UserError


def test_space_is_checked_before_writing(tmp_path: Path) -> None:
    require_space(tmp_path, 1)
    with pytest.raises(DiskFullError, match=r"needs 1000000000\.00 GB, .* GB are free; make room and run again"):
        require_space(tmp_path, 10**18)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(code: int) -> None:
    with pytest.raises(DiskFullError, match=r"^a\.png: the disk is full"), full_disk_as_user_error():
        raise OSError(code, "full", "a.png")
    with pytest.raises(DiskFullError, match=r"^out: the disk is full"), os_errors_as_user_errors(Path("out")):
        raise OSError(code, "full", "a.png")


def test_an_error_names_its_file_else_the_given_place() -> None:
    with (
        pytest.raises(UserError, match=r"^a\.png: denied; fix this and run again$"),
        os_errors_as_user_errors(Path("o")),
    ):
        raise PermissionError(errno.EACCES, "denied", "a.png")
    with pytest.raises(UserError, match=r"^out: broken pipe; fix this"), os_errors_as_user_errors(Path("out")):
        raise OSError("broken pipe")


def test_a_temporary_file_is_not_named() -> None:
    errors = os_errors_as_user_errors(Path("a.json"), hide_filename=True, remedy="write to another path")
    with pytest.raises(UserError, match=r"^a\.json: denied; write to another path$"), errors:
        raise PermissionError(errno.EACCES, "denied", ".a.json-part")


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ValueError, match="shapes differ"), os_errors_as_user_errors(Path("out")):
        raise ValueError("shapes differ")
