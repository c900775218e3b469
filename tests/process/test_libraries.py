"""Settings of oneDNN, Triton and OpenMP: each is checked by what the library itself reports."""

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from partprop.process.libraries import block_triton_import, limit_onednn_cache

SIZES = 110  # each compiles at least two primitives: more than the limit, fewer than the default of 1024
CONVOLUTIONS = f"""
from partprop.process.libraries import limit_onednn_cache

limit_onednn_cache()
import torch

weight = torch.rand(32, 3, 3, 3)
with torch.inference_mode():
    for width in [*range(128, 128 + {SIZES}), 128]:
        print("width", width, flush=True)
        torch.nn.functional.conv2d(torch.rand(1, 3, 64, width), weight)
"""
LOAD_OPENMP = """
import ctypes
import sys
from partprop.process.libraries import shorten_openmp_spin

shorten_openmp_spin()
ctypes.CDLL(sys.argv[1])
"""


def test_onednn_compiles_a_size_again_after_many_others() -> None:
    environment = os.environ | {"ONEDNN_VERBOSE": "2"}
    process = subprocess.run(
        [sys.executable, "-c", CONVOLUTIONS], env=environment, capture_output=True, text=True, check=True
    )
    last = process.stdout.rpartition("width 128\n")[2]
    if "primitive,create" not in last:
        pytest.skip("this build of PyTorch does not compute convolutions with oneDNN, or does not report them")
    assert "cache_miss,cpu,convolution" in last


def test_cache_sizes_from_the_environment_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
        monkeypatch.setenv(name, "7")
    limit_onednn_cache()
    assert os.environ["LRU_CACHE_CAPACITY"] == os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "7"


def test_triton_cannot_be_imported_unless_it_already_is(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = ModuleType("triton")
    monkeypatch.setitem(sys.modules, "triton", loaded)  # restored after the test
    block_triton_import()
    assert importlib.import_module("triton") is loaded
    monkeypatch.delitem(sys.modules, "triton")
    block_triton_import()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("triton")


@pytest.mark.parametrize(
    ("environment", "spins"),
    [({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
    ids=["default", "own count", "own policy"],
)
def test_openmp_spins_briefly_unless_the_environment_says_otherwise(environment: dict[str, str], spins: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    process = subprocess.run(
        [sys.executable, "-c", LOAD_OPENMP, str(gnu_openmp())],
        env={**inherited, **environment, "OMP_DISPLAY_ENV": "verbose"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in process.stderr


def gnu_openmp() -> Path:
    """GNU's OpenMP library that comes with PyTorch."""
    spec = find_spec("torch")
    assert spec is not None
    assert spec.submodule_search_locations
    library = next((Path(spec.submodule_search_locations[0]) / "lib").glob("libgomp*"), None)
    if library is None:
        pytest.skip("PyTorch does not come with GNU's OpenMP here")
    return library
