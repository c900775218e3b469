"""Compute devices, and the memory layout of weights and maps on them."""

import torch
from torch import Tensor, nn

from partprop.base.errors import UserError

CHANNELS_FIRST = ("mps",)
"""Devices on which some PyTorch versions compute wrong results without an error: `grid_sample` on channels-last maps,
and convolutions with non-contiguous weights (https://github.com/pytorch/pytorch/issues/174339 and 192212)."""


def choose_device(name: str) -> torch.device:
    """The device of a name: `auto` prefers CUDA, then Apple's GPU, then the processor; other names are PyTorch's.

    Raises:
        UserError: the device is not available on this machine or in this PyTorch build.
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


def memory_format(device: torch.device) -> torch.memory_format:
    """The fastest correct memory layout on a device."""
    return torch.contiguous_format if device.type in CHANNELS_FIRST else torch.channels_last


def in_device_format(maps: Tensor) -> Tensor:
    """Maps or weights (·, ·, h, w), contiguous in their device's memory format."""
    return maps.contiguous(memory_format=memory_format(maps.device))


def move_to_device(module: nn.Module, device: torch.device) -> None:
    """Move a network to a device and into its memory format."""
    module.to(device).to(memory_format=memory_format(device))
