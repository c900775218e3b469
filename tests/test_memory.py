"""Freed memory stays with the process once it is told to keep it."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy
import psutil
from partprop.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
def used():
    return psutil.Process().memory_info().rss
before = used()
array = numpy.ones(2**24)
del array
print((used() - before) / 2**27)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_the_memory_of_a_large_array_is_kept_for_the_next_one() -> None:
    left, kept = (
        float(subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("leave", "keep")
    )
    assert left < 0.1
    assert kept > 0.9
