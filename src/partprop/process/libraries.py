"""Settings of libraries that must be made before they are imported: oneDNN, Triton, OpenMP."""

import os
import sys

# Compiled primitives that oneDNN, and PyTorch's layer above it, keep: 1024 each by default.
_CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_CAPACITY = "192"  # a frame uses 126 with one object, up to 157 with five; below that, each frame would compile again


def limit_onednn_cache() -> None:
    """Limit the number of compiled primitives that oneDNN caches, one for each input size.

    Object windows have many sizes: with the default limit the cache would grow by some hundred MB over a long video,
    although only the primitives of recent frames are needed. Call it before oneDNN runs its first operation. Values
    from the environment are kept.
    """
    for name in _CAPACITIES:
        os.environ.setdefault(name, _CAPACITY)


def block_triton_import() -> None:
    """Make `import triton` fail, so that torchvision does without it: a GPU compiler of 75 MB that nothing here uses.

    Does nothing if Triton is already imported.
    """
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # None is how the import system marks it


def shorten_openmp_spin() -> None:
    """Let idle threads of GNU OpenMP sleep sooner, to free the cores for the threads of other objects.

    By default they spin for some milliseconds after each parallel region, which costs 5 % of the time of a frame with
    three objects. Call it before torch is imported. Values from the environment are kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:  # GOMP_SPINCOUNT would override it
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # a few tenths of a millisecond
