"""Thread counts of the numerical libraries: parameters, since results differ in their last digits between counts."""

import os

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def set_thread_variables(count: int) -> None:
    """Set the environment variables from which libraries take their thread count. Call it before they are imported.

    Snakemake sets OMP_NUM_THREADS from a rule's threads, plain `dvc repro` does not: both must give the same results.
    Waiting threads sleep unless the environment says otherwise, to leave the cores to the thread that prepares batches.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(count)))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_threads(count: int) -> None:
    """Let PyTorch compute with `count` threads and OpenCV with one, whose results depend on its thread count."""
    import cv2
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(1)
