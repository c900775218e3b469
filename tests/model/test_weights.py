"""Weights and checkpoints on a disk that takes no more: an OSError, which becomes one line; nothing half-written."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import resource, sys
from pathlib import Path
import torch
from partprop.model.backbone import save_weights
from partprop.model.checkpoint import Checkpoint

layer, folder = torch.nn.Linear(100, 100), Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    if sys.argv[2] == "weights":
        save_weights(layer, folder / "weights.safetensors")
    else:
        Checkpoint(folder).save(layer.state_dict())
except OSError:
    sys.exit(7)
"""


@pytest.mark.parametrize("what", ["weights", "checkpoint"])
def test_a_write_that_fails_is_an_os_error_and_leaves_nothing(what: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), what], capture_output=True, check=False)
    assert done.returncode == 7, done.stderr
    assert list(tmp_path.iterdir()) == []
