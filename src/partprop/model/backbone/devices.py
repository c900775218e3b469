"""Where the network computes, and how exactly."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from partprop.base.errors import UserError


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


def half_precision(device: torch.device) -> torch.dtype | None:
    """The format of 16 bits in which a device multiplies fastest; None for a processor that has none."""
    if device.type != "cpu":
        return torch.float16
    # torch has no public name for it; elsewhere bfloat16 is imitated, which is slow
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else None


def compute_in_half(methods: Iterable[tuple[nn.Module, str]], device: torch.device) -> None:
    """Let methods of modules compute in half precision, where torch deems that safe and the device is faster with it.

    What they give is in single precision, as before.
    """
    dtype = half_precision(device)
    if dtype is not None:
        for module, name in methods:
            setattr(module, name, _reduced(getattr(module, name), device.type, dtype))


def _reduced(method: Callable[..., Any], device: str, dtype: torch.dtype) -> Callable[..., Any]:
    def reduced(*arguments: Any) -> Any:
        with torch.autocast(device, dtype):
            return _single(method(*arguments))

    return reduced


def _single(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, Mapping):
        return {key: _single(each) for key, each in value.items()}
    return type(value)(_single(each) for each in value)
