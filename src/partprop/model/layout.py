"""How weights and maps lie in memory: with channels last, which is fastest, where that is right."""

import torch
from torch import nn

CHANNELS_FIRST = ("mps",)
"""Devices on which PyTorch samples maps with channels last at wrong places, without a word, in 2.10 at least:
https://github.com/pytorch/pytorch/issues/174339"""


def layout(device: torch.device) -> torch.memory_format:
    """The layout for a device."""
    return torch.contiguous_format if device.type in CHANNELS_FIRST else torch.channels_last


def place(module: nn.Module, device: torch.device) -> None:
    """Move a network to a device, in its layout."""
    module.to(device).to(memory_format=layout(device))
