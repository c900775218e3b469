"""A command begins again once, as the same process, with glibc's settings; holes in the heap are given back."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import os
import sys
from partprop.process.allocator import reexec_with_malloc_tunables

print(os.getpid(), flush=True)
reexec_with_malloc_tunables()
print(sys.argv[1:], os.environ["GLIBC_TUNABLES"])
"""
ARGUMENTS = ["a b", "--end", "3", "\udce4.mp4"]  # a name in no encoding

HOLE = """
import numpy
import psutil
from partprop.process import allocator as heap
from partprop.process.allocator import keep_freed_pages

keep_freed_pages()
heap.EVERY = 0
trim = heap.Trimmer()
def given_back(count):
    arrays = [numpy.ones(2**15) for _ in range(count)]
    del arrays[1::2]
    before = psutil.Process().memory_info().rss
    trim()
    return arrays, (before - psutil.Process().memory_info().rss) / 2**20
first, many = given_back(512)
second, none = given_back(256)  # 64 MiB more than after the first time
third, more = given_back(512)  # 160, where half of the second time's holes are taken
print(many, none, more)
"""


def lines(environment: dict[str, str]) -> list[str]:
    command = [sys.executable, "-X", "utf8", "-c", SCRIPT, *ARGUMENTS]
    environment = environment | {"PYTHONIOENCODING": "utf-8:backslashreplace"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_the_process_and_its_arguments_are_the_same_after_it_began_again() -> None:
    before, again, after = lines({name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"})
    assert again == before
    assert after.startswith(str(ARGUMENTS))
    assert "glibc.malloc.tcache_count=0" in after


def test_what_the_environment_says_stands() -> None:
    _, after = lines(os.environ | {"GLIBC_TUNABLES": "glibc.malloc.perturb=0"})
    assert after.endswith(" glibc.malloc.perturb=0")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_pages_of_holes_are_given_back_when_they_are_many() -> None:
    done = subprocess.run([sys.executable, "-c", HOLE], capture_output=True, text=True, check=True)
    many, none, more = map(float, done.stdout.split())
    assert min(many, more) > 60
    assert abs(none) < 5
