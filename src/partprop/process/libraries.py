"""What the libraries of this process do: which are loaded, how they keep memory, and how their threads wait."""

import ctypes
import os
import resource
import sys

# Of glibc's malloc.h. Freed memory is kept, whatever its size, and the heap grows by a quarter of a GiB at a time.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_NEVER, _GROWTH = 2**31 - 1, 2**28
# How many compiled operations oneDNN, and PyTorch's layer over it, keep: by default 1024 each.
_CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_KEPT = "192"  # a frame of one object runs 126, of five up to 157: fewer would be compiled again for each frame


def keep_freed_memory() -> None:
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


def keep_few_operations() -> None:
    """Let oneDNN keep fewer of the operations that it compiles for each size of their inputs.

    Windows around objects have many sizes: what is kept for them would grow by some hundred MB in the course of a long
    video. Those of the last frames are enough. Without effect once oneDNN has begun; what the environment says stands.
    """
    for name in _CAPACITIES:
        os.environ.setdefault(name, _KEPT)


def leave_triton_out() -> None:
    """Let torchvision load what it does without Triton, a compiler for GPUs: 75 MB that nothing here uses.

    Without effect once Triton is loaded; afterwards `import triton` finds no such module.
    """
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # the import system's own way to say so


def wait_briefly() -> None:
    """Let threads of GNU's OpenMP sleep soon after they have worked: others, of objects side by side, need the cores.

    By default they look for more work for some milliseconds, at full speed, wherever part of a frame is not theirs: a
    twentieth of the time of a frame with three objects. Without effect once torch is loaded; what the environment says
    stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:  # which the number of rounds would override
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # some tenths of a millisecond


def peak_memory_mb() -> float:
    """Of this process so far; the kernel counts in KiB on Linux and in bytes on macOS."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
