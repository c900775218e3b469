"""A network that is built and run in no time, untrained."""

from pathlib import Path

import torch

from partprop.model.network import build_network
from partprop.tracking.pretrained import save_pretrained
from partprop.tracking.segmenter import Settings

MODEL = {"backbone": "lite0", "fpn_channels": 16, "key_channels": 16, "value_channels": 8, "roi_size": 16}


def write_tiny_weights(path: Path) -> Path:
    """Its weights, as they are shipped."""
    torch.manual_seed(0)
    save_pretrained(build_network(**MODEL), MODEL, Settings(96, 2, 0.0, 0), path)
    return path
