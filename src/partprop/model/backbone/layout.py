"""How weights and maps lie in memory: with channels last, which is fastest, where that is right."""

import torch
from torch import Tensor, nn

CHANNELS_FIRST = ("mps",)
"""Devices on which some versions of PyTorch, without a word, sample maps with channels last at wrong places, and
convolve wrongly with weights that are not contiguous: https://github.com/pytorch/pytorch/issues/174339 and 192212."""


def layout(device: torch.device) -> torch.memory_format:
    """The layout for a device."""
    return torch.contiguous_format if device.type in CHANNELS_FIRST else torch.channels_last


def laid_out(maps: Tensor) -> Tensor:
    """Maps or weights (·, ·, h, w), contiguous in the layout for their device."""
    return maps.contiguous(memory_format=layout(maps.device))


def place(module: nn.Module, device: torch.device) -> None:
    """Move a network to a device, in its layout."""
    module.to(device).to(memory_format=layout(device))
