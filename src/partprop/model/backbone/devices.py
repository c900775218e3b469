"""Where a network computes, and how its weights and maps lie in memory there."""

import torch
from torch import Tensor, nn

from partprop.base.errors import UserError

CHANNELS_FIRST = ("mps",)
"""Devices on which some versions of PyTorch, without a word, sample maps with channels last at wrong places, and
convolve wrongly with weights that are not contiguous: https://github.com/pytorch/pytorch/issues/174339 and 192212."""


def choose_device(name: str) -> torch.device:
    """`auto` is a CUDA device, else Apple's, else the processor; other names are torch's.

    Raises:
        UserError: this machine, or this PyTorch, has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: cannot be used ({reason}); choose auto or cpu") from None
    return device


def layout(device: torch.device) -> torch.memory_format:
    """The layout for a device."""
    return torch.contiguous_format if device.type in CHANNELS_FIRST else torch.channels_last


def laid_out(maps: Tensor) -> Tensor:
    """Maps or weights (·, ·, h, w), contiguous in the layout for their device."""
    return maps.contiguous(memory_format=layout(maps.device))


def place(module: nn.Module, device: torch.device) -> None:
    """Move a network to a device, in its layout."""
    module.to(device).to(memory_format=layout(device))
