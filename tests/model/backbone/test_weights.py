"""Weights and checkpoints on a disk that takes no more: an OSError, which becomes one line; nothing half-written."""

import subprocess
import sys
from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.training.common.checkpoint import Checkpoint

SCRIPT = """
import resource, sys
from pathlib import Path
import torch
from partprop.model.backbone.weights import save_weights
from partprop.training.common.checkpoint import Checkpoint

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


HOLDER = """
import sys
from pathlib import Path
from partprop.training.common.checkpoint import Checkpoint
held = Checkpoint(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_training_that_runs_elsewhere_is_not_joined(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints/train-1"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], **pipes) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="train-1: the same training is running elsewhere"):
            Checkpoint(folder)
        holder.stdin.close()
        holder.wait()
    assert Checkpoint(folder).load() is None


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "train-1")
    checkpoint.save({"step": 3})
    assert checkpoint.load() == {"step": 3}
    (tmp_path / "train-1/last.pt").write_bytes(b"half")
    with pytest.raises(UserError, match=r"last\.pt: damaged .*delete it"):
        checkpoint.load()
