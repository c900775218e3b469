"""Freed memory stays with the process once it is told to keep it; what oneDNN keeps is bounded."""

import importlib
import os
import platform
import subprocess
import sys
from types import ModuleType

import pytest

from partprop.process.libraries import block_triton_import, limit_onednn_cache, shorten_openmp_spin

SCRIPT = """
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_the_memory_of_a_large_array_is_kept_for_the_next_one() -> None:
    left, kept = (
        float(subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("leave", "keep")
    )
    assert left < 0.1
    assert kept > 0.9


def test_what_the_environment_says_of_kept_operations_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "1024")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    limit_onednn_cache()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) < 1024


def test_triton_is_left_out_unless_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = ModuleType("triton")
    monkeypatch.setitem(sys.modules, "triton", loaded)  # so that it is as before after the test
    block_triton_import()
    assert importlib.import_module("triton") is loaded
    monkeypatch.delitem(sys.modules, "triton")
    block_triton_import()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("triton")


def test_what_the_environment_says_of_waiting_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")  # so that it is as before after the test
    monkeypatch.delenv("GOMP_SPINCOUNT")
    shorten_openmp_spin()
    assert "GOMP_SPINCOUNT" not in os.environ  # it would override the policy
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    shorten_openmp_spin()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    shorten_openmp_spin()
    assert int(os.environ["GOMP_SPINCOUNT"]) < 300_000  # the default
