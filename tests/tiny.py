"""A network that is built and run in no time, untrained; and keys for tests of what matches them."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.building import build_network
from partprop.pretrained import save_pretrained
from partprop.tracking.settings import Settings

MODEL = {"backbone": "lite0", "fpn_channels": 16, "key_channels": 16, "value_channels": 8, "roi_size": 16}


def write_tiny_weights(path: Path) -> Path:
    """Its weights, as they are shipped."""
    torch.manual_seed(0)
    save_pretrained(build_network(**MODEL), MODEL, Settings(96, 2, 0.0, 0), path)
    return path


def unit(*shape: int, seed: int = 0) -> Tensor:
    """Random unit vectors along dimension 1."""
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)
