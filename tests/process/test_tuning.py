"""One call tunes the process."""

import os
import platform
import subprocess
import sys

SCRIPT = """
import os
import sys
from partprop.process.tuning import tune

tune()
print(sorted(name for name in ("GLIBC_TUNABLES", "GOMP_SPINCOUNT") if name in os.environ))
try:
    import triton
except ModuleNotFoundError:
    print("no triton")
"""


def test_one_call_tunes_allocator_openmp_and_triton() -> None:
    tuned = ("GLIBC_TUNABLES", "GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in tuned}
    command = [sys.executable, "-c", SCRIPT]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    expected = ["GLIBC_TUNABLES"] * (platform.libc_ver()[0] == "glibc") + ["GOMP_SPINCOUNT"]
    assert process.stdout.splitlines() == [str(expected), "no triton"]
