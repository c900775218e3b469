"""What the libraries of this process do: which are loaded, how they keep memory, and how their threads wait."""

import os
import sys

# How many compiled operations oneDNN, and PyTorch's layer over it, keep: by default 1024 each.
_CAPACITIES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_KEPT = "192"  # a frame of one object runs 126, of five up to 157: fewer would be compiled again for each frame


def limit_onednn_cache() -> None:
    """Let oneDNN keep fewer of the operations that it compiles for each size of their inputs.

    Windows around objects have many sizes: what is kept for them would grow by some hundred MB in the course of a long
    video. Those of the last frames are enough. Without effect once oneDNN has begun; what the environment says stands.
    """
    for name in _CAPACITIES:
        os.environ.setdefault(name, _KEPT)


def block_triton_import() -> None:
    """Let torchvision load what it does without Triton, a compiler for GPUs: 75 MB that nothing here uses.

    Without effect once Triton is loaded; afterwards `import triton` finds no such module.
    """
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # the import system's own way to say so


def shorten_openmp_spin() -> None:
    """Let threads of GNU's OpenMP sleep soon after they have worked: others, of objects side by side, need the cores.

    By default they look for more work for some milliseconds, at full speed, wherever part of a frame is not theirs: a
    twentieth of the time of a frame with three objects. Without effect once torch is loaded; what the environment says
    stands.
    """
    if "OMP_WAIT_POLICY" not in os.environ:  # which the number of rounds would override
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # some tenths of a millisecond
