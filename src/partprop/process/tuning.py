"""All tuning of this process for commands that segment long videos, behind one call."""

from partprop.process.allocator import reexec_with_malloc_tunables
from partprop.process.libraries import block_triton_import, shorten_openmp_spin


def tune() -> None:
    """Prepare this process for segmenting long videos: less heap fragmentation, shorter OpenMP spinning, no Triton.

    Call it before torch is imported and before anything is opened or printed, since it may re-exec the process.
    """
    reexec_with_malloc_tunables()
    shorten_openmp_spin()
    block_triton_import()
