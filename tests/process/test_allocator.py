"""The allocator: re-exec with glibc's tunables, freed pages kept for the next array, unused heap pages returned."""

import os
import platform
import subprocess
import sys

import pytest

REEXEC = """
import os
import sys
from partprop.process.allocator import reexec_with_malloc_tunables

print(os.getpid(), flush=True)
reexec_with_malloc_tunables()
print(sys.argv[1:], os.environ["GLIBC_TUNABLES"])
"""
ARGUMENTS = ["a b", "--end", "3", "\udce4.mp4"]  # the last is not valid UTF-8

KEEP = """
import sys
import numpy
import psutil
from partprop.process.allocator import keep_freed_pages

if sys.argv[1] == "keep":
    keep_freed_pages()
def used():
    return psutil.Process().memory_info().rss
before = used()
array = numpy.ones(2**24)
del array
print((used() - before) / 2**27)
"""

TRIM = """
from time import sleep

import numpy
import psutil
from partprop.process.allocator import TRIM_SECONDS, Trimmer, keep_freed_pages

keep_freed_pages()
trim = Trimmer()
def trimmed(count):
    arrays = [numpy.ones(2**15) for _ in range(count)]
    del arrays[1::2]
    sleep(TRIM_SECONDS)
    before = psutil.Process().memory_info().rss
    trim()
    return arrays, (before - psutil.Process().memory_info().rss) / 2**20
first, many = trimmed(512)
second, none = trimmed(256)  # 64 MiB more than after the first trim
third, more = trimmed(512)  # 160 MiB more: half of it fills the holes of the second call
print(many, none, more)
"""
ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")


def printed(script: str, *arguments: str, environment: dict[str, str] | None = None) -> list[str]:
    command = [sys.executable, "-X", "utf8", "-c", script, *arguments]
    environment = (environment or dict(os.environ)) | {"PYTHONIOENCODING": "utf-8:backslashreplace"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


@ON_GLIBC
def test_reexec_keeps_process_id_and_arguments() -> None:
    unset = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    before, again, after = printed(REEXEC, *ARGUMENTS, environment=unset)
    assert again == before
    assert after.startswith(str(ARGUMENTS))
    assert "glibc.malloc.tcache_count=0" in after


def test_tunables_from_the_environment_are_kept() -> None:
    _, after = printed(REEXEC, environment=os.environ | {"GLIBC_TUNABLES": "glibc.malloc.perturb=0"})
    assert after.endswith(" glibc.malloc.perturb=0")


@ON_GLIBC
def test_pages_of_a_large_array_are_kept_for_the_next_one() -> None:
    returned, kept = (float(printed(KEEP, mode)[0]) for mode in ("return", "keep"))
    assert returned < 0.1
    assert kept > 0.9


@ON_GLIBC
def test_unused_pages_are_returned_once_the_process_has_grown_enough() -> None:
    many, none, more = map(float, printed(TRIM)[0].split())
    assert min(many, more) > 60
    assert abs(none) < 5
