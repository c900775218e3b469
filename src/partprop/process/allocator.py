"""The allocator of this process: fewer holes in the heap, freed pages kept or returned, peak memory."""

import ctypes
import os
import platform
import resource
import sys
from time import monotonic

import psutil

_NO_SMALL_LISTS = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"  # tcache and fastbins off
# Options of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER, _GROWTH = 2**31 - 1, 2**28  # bytes: never shrink the heap, grow it by 256 MiB at a time
TRIM_GROWTH, TRIM_SECONDS = 128 * 2**20, 0.5  # bytes and seconds between two trims, at least


def reexec_with_malloc_tunables() -> None:
    """Re-exec this command with glibc's tcache and fastbins off, to reduce heap fragmentation.

    PyTorch allocates aligned arrays. glibc puts the pieces that it cuts off for the alignment into these two caches,
    where they are not merged with their neighbours, so the space of a freed array does not fit the next array of the
    same size (glibc bug 14581): the more window sizes a video needs, the more memory lies unused. The tunables are read
    only when a process starts.

    The process keeps its id and arguments. Does nothing without glibc or if the environment sets GLIBC_TUNABLES. Call
    it before anything is opened or printed.
    """
    if platform.libc_ver()[0] == "glibc" and sys.executable and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = _NO_SMALL_LISTS
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_freed_pages() -> None:
    """Keep the pages of freed arrays in this process for the next arrays.

    By default glibc returns the pages of large arrays to the kernel after each operation, and the kernel zeroes them
    again for the next one: a tenth of the time of training, a quarter of the online loop, a third of reading masks.
    Does nothing without glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _GROWTH)):
            mallopt(option, value)


class Trimmer:
    """Returns unused heap pages to the kernel when the process has grown by 128 MiB since the last time.

    Without it, memory would grow over a video with every hole that was ever in use, instead of with what one frame
    needs. A trim costs about 15 ms, and as much again until the pages are back, so there are at most two per second;
    objects of constant size need one every few seconds. Does nothing without glibc.
    """

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
        self._process = psutil.Process()
        self._limit, self._next = 0, monotonic()

    def __call__(self) -> None:
        """Trim if it is time to. Call it after each frame."""
        if self._trim is not None and monotonic() >= self._next and self._process.memory_info().rss > self._limit:
            self.give_back()
            self._limit, self._next = self._process.memory_info().rss + TRIM_GROWTH, monotonic() + TRIM_SECONDS

    def give_back(self) -> None:
        """Trim now. Call it after the last frame: libraries allocate about 100 MiB while Python shuts down."""
        if self._trim is not None:
            self._trim(0)


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in MiB (the kernel counts KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
