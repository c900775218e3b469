"""Where the network computes."""

import torch

from partprop.errors import UserError


def choose_device(name: str) -> torch.device:
    """`auto` is a CUDA device, else Apple's, else the processor; other names are torch's.

    Raises:
        UserError: this machine, or this PyTorch, has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: cannot be used ({reason}); choose auto or cpu") from None
    return device
