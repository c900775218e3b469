"""Thread counts of the libraries, before and after they are imported."""

import os

import cv2
import pytest
import torch

from partprop.base.threads import THREAD_VARIABLES, set_thread_variables, use_threads


def test_libraries_not_yet_imported_read_the_count_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "7")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    set_thread_variables(3)
    assert {os.environ[variable] for variable in THREAD_VARIABLES} == {"3"}
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE", "a value from the environment is kept"


def test_pytorch_uses_the_count_and_opencv_one_thread() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        use_threads(3)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 1)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
