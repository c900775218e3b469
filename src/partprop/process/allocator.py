"""A heap with few holes, for commands that follow a video however long it is."""

import ctypes
import os
import platform
import resource
import sys
from time import monotonic

import psutil

_JOIN_AT_ONCE = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"  # no lists of small freed pieces
# Of glibc's malloc.h. Freed memory is kept, whatever its size, and the heap grows by a quarter of a GiB at a time.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER, _GROWTH = 2**31 - 1, 2**28
MORE, EVERY = 128 * 2**20, 0.5  # bytes, seconds


def reexec_with_malloc_tunables() -> None:
    """Begin this command again, as the same process, so that glibc joins whatever is freed with its neighbours.

    PyTorch asks for aligned arrays, and what glibc cuts off to align them it keeps apart from them by default: the
    space of a freed array then does not hold the next one of its size, and the more sizes a video's windows have, the
    more memory lies idle (glibc bug 14581). This can be said before a process begins only. Without glibc, and where
    the environment has other GLIBC_TUNABLES, nothing is done. To be called before anything is opened or printed.
    """
    if platform.libc_ver()[0] == "glibc" and sys.executable and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = _JOIN_AT_ONCE
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_freed_pages() -> None:
    """Let this process keep the memory of freed arrays for the next ones.

    By default glibc hands that of large ones back after each operation, and the kernel clears its pages for the next
    one: a tenth of the time of training, a quarter of that of the online loop, a third of that of reading masks.
    Without glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER), (_M_TOP_PAD, _GROWTH)):
            mallopt(option, value)


class Trimmer:
    """Gives the pages of holes in the heap back whenever the process has 128 MiB more than after the last time.

    Otherwise memory would grow in the course of a video by whatever hole was in use at some time, not by what a frame
    needs. It takes some 15 ms, and as long until the pages are there again: it is done twice a second at most, with
    objects of one size every few seconds. Without glibc nothing is done.
    """

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
        self._process = psutil.Process()
        self._enough, self._next = 0, monotonic()

    def __call__(self) -> None:
        """To be called after each frame."""
        if self._trim is not None and monotonic() >= self._next and self._process.memory_info().rss > self._enough:
            self.give_back()
            self._enough, self._next = self._process.memory_info().rss + MORE, monotonic() + EVERY

    def give_back(self) -> None:
        """To be called after the last frame, too: libraries take some 100 MiB for themselves when Python ends."""
        if self._trim is not None:
            self._trim(0)


def peak_memory_mb() -> float:
    """Of this process so far; the kernel counts in KiB on Linux and in bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
